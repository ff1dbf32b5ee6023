"""Questions that are generated of a collection."""
