"""Answers that are kept: how many bytes, for how long, and until which version."""
