"""Who uses the application, and what is kept of each: users, rights, keys, conversations."""
