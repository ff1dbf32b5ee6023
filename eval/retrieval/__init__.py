"""Retrieval: which system finds what the judges found relevant."""
