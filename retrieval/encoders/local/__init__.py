"""Encoders that run in this process with torch and transformers."""
