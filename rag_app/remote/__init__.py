"""The application behind the address of another process."""
