"""Where indexes live: who owns the storage, several indexes of a collection, backups."""
