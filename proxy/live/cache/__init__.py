"""Answers from memory: what becomes of a request before and beside its job."""
