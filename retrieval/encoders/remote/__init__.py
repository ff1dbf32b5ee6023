"""Encoders behind an address: the client, and the command that serves them."""
