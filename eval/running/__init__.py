"""Runs: concurrent, resumable, each in a directory of its own."""
