"""What the core shows of itself."""
