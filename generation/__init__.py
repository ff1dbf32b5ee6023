"""Answering from passages: readers, prompts, citations."""
