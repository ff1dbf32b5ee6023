"""Runs of every kind: one plan, one lifecycle, resumable, each in a directory of its own."""
