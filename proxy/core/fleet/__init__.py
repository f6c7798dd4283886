"""The backends, their pools and health, and what one job demands of one of them."""
