"""Batches that last: which state may follow which, whose turn it is, and when they will be done."""
