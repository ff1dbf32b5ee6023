"""Which retrieval systems a person names, and what they found side by side."""
