"""HTTP itself: bytes to values and back, and what is wrong with them."""
