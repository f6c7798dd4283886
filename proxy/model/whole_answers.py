"""How an engine's answers in one piece differ from what its streams amount to."""

from typing import Final, NamedTuple


class WholeAnswers(NamedTuple):
    """Of one kind of engine."""

    blank: str | None = None
    """The content of a message that has none."""
    omits: frozenset[str] = frozenset()
    """Fields of events that they lack."""
    asks_usage: bool = True
    """Streams tell it on request alone."""
    counts_first: bool = False
    """Streams of several texts count each by itself, behind its end; a whole answer counts the first."""
    dates_end: bool = False
    """A whole response says when it was complete, and of each of its items that it is."""
    unlike: tuple[str, ...] = ()
    """Fields of requests, true or not empty, for which a stream says less than a whole answer."""


AS_OPENAI: Final = WholeAnswers()
