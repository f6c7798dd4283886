"""Real engines side by side (`make engines`)."""

_LINE = "the of and to in is that for it as was with be by on not he his but at are this have from or had an they which"
WORDS = tuple(_LINE.split())
"""Prompts are made of; one token each in the tiny model's vocabulary."""
