"""Conversations and what people thought of the answers, kept in one SQLite file."""
