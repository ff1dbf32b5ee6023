"""What answers cost: tokens and floating-point operations."""
