"""Encoders: text in, unit vectors out. Rows describe models; classes run them."""
