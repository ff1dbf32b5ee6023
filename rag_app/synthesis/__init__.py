"""Training data made of a collection, and what its documents are worth for that."""
