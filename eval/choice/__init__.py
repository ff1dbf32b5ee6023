"""Multiple choice: what retrieval gains over a closed book."""
