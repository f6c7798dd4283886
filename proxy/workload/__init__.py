"""Loads as values: traces that are read or generated, one request after the other."""
