"""The people who share one application: who they are, and what each may do."""
