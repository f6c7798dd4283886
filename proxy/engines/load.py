"""What an engine's own metrics say of its load: what may be told, and where an engine tells it.

Which metrics and paths these are stands in each engine's file. Whatever is not as expected reads as unknown; the core
judges what is plausible.
"""

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

MAX_B: Final = 4 << 20
"""Longest answer that is read."""
METRICS: Final = "/metrics"
_MAX_CONTEXT: Final = 1 << 32


class Reading(NamedTuple):
    """One look at an engine; None: it does not tell."""

    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None
    kv_tokens: float | None = None
    seats: float | None = None
    loaded: frozenset[str] | None = None
    odometer: float | None = None
    """A count that only ever grows: a smaller one later means that the engine was restarted."""
    contexts: dict[str, int] | None = None
    """Tokens, by model."""
    asleep: bool | None = None
    """It takes requests, and leaves them alone until somebody wakes it."""
    unloaded: bool | None = None
    """Its model is out of memory since it was idle, and the next request brings it back. None: it never sleeps so."""


NOTHING = Reading()


def merged(first: Reading, second: Reading) -> Reading:
    """What one of them tells; the first where both do."""
    told: dict[str, Any] = first._asdict()
    return second._replace(**{name: value for name, value in told.items() if value is not None})


class LoadSource(NamedTuple):
    """Where an engine tells its load."""

    path: str
    read: Callable[[bytes], Reading]
    stirs: bool = False
    """Asking keeps an idle engine from falling asleep, and wakes it: to be asked when it is at work anyway."""


def parsed(text: bytes) -> Any:
    """JSON; None for anything else."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def tokens(value: Any) -> int | None:
    """A context length as engines write it; None for anything else, 0 included, which means "the model's own"."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAX_CONTEXT:
        return value
    return None
