"""Other programs that drive our systems."""
