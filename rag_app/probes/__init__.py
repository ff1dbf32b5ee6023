"""Probes: a part of the application tried with a real call, one file a role."""
