"""Whose a job is, of which class, and what it may use."""
