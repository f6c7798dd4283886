"""One mistake in a file, and what whoever made it should be told."""

import random
from collections.abc import Callable
from typing import NamedTuple

from tests.support.mistakes.base import Base


class Mistake(NamedTuple):
    """Lines from 1."""

    text: str
    lines: tuple[int, ...]
    """Where it may be told: one line, but for what is on two of them."""
    words: tuple[str, ...]
    """One of them at least stands in the message or its hint."""
    column: int | None = None
    """From 1; None: it does not matter within the line."""
    is_error: bool = True
    """False: a warning is enough."""
    kind: str = ""
    base: str = ""


Kind = Callable[[Base, random.Random], Mistake | None]
"""Makes one somewhere in a file; None: there is no place for it."""
