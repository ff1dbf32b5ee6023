"""Data sets that systems are judged by."""
