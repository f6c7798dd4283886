"""Engines, traffic and the real scheduler in virtual time."""
