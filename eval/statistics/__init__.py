"""Statistics of paired results."""
