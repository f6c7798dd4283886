"""What an engine's own metrics say of its load: what may be told, and where an engine tells it.

Which metrics and paths these are stands in each engine's file. Whatever is not as expected reads as unknown; the core
judges what is plausible.
"""

import json
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from proxy.model.engine_facts import MAX_CHARS, UNKNOWN, EngineFacts, first_known

MAX_B: Final = 4 << 20
"""Longest answer that is read."""
METRICS: Final = "/metrics"
_MAX_CONTEXT: Final = 1 << 32
MAX_MEMORY_B: Final = 1 << 50
SELDOM_S: Final = 60.0
"""What changes only with a restart is asked for so often."""
_BUILD: Final = re.compile(r"b(\d{1,9})\b")
"""How llama.cpp tells its build: `b10621-0c1e570`; `b0`: of a tree that does not know."""


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
    precisions: dict[str, str] | None = None
    """Of the weights of each model, where it has several."""
    asleep: bool | None = None
    """It takes requests, and leaves them alone until somebody wakes it."""
    unloaded: bool | None = None
    """Its model is out of memory since it was idle, and the next request brings it back. None: it never sleeps so."""
    facts: EngineFacts | None = None
    """What it says of itself beside its load."""


NOTHING: Final = Reading()


def merged(first: Reading, second: Reading) -> Reading:
    """What one of them tells; the first where both do."""
    told: dict[str, Any] = {name: value for name, value in first._asdict().items() if value is not None}
    if first.facts is not None and second.facts is not None:
        told["facts"] = first_known(first.facts, second.facts)
    return second._replace(**told)


class LoadSource(NamedTuple):
    """Where an engine tells its load."""

    path: str
    read: Callable[[bytes], Reading]
    stirs: bool = False
    """Asking keeps an idle engine from falling asleep, and wakes it: to be asked when it is at work anyway."""
    calm_from: int = 0
    """… unless it is of this build or a later one; 0: whichever it is of."""
    spare: bool = False
    """To be asked only where those before did not say how many requests run."""
    every_s: float = 0.0
    """Not to be asked more often. What it told holds until then, where that is `SELDOM_S`."""

    def disturbs(self, version: str) -> bool:
        """Whether asking an engine of this version disturbs its sleep. One that does not tell its build is not
        trusted."""
        if not self.stirs or not self.calm_from:
            return self.stirs
        build = _BUILD.match(version)
        return build is None or int(build[1]) < self.calm_from


def parsed(text: bytes) -> Any:
    """JSON; None for anything else."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def word(value: Any) -> str:
    """A short text in one line, of characters that can be printed; empty for anything else."""
    if not isinstance(value, str):
        return ""
    shown = "".join([one if one.isprintable() else " " for one in value[:256]])
    return " ".join(shown.split())[:MAX_CHARS]


def said(**facts: Any) -> EngineFacts | None:
    """Facts of an engine; None where it says none of them."""
    told = EngineFacts(**facts)
    return None if told == UNKNOWN else told


def count(value: Any, most: int = _MAX_CONTEXT) -> float | None:
    """A whole number above 0."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and 0 < value < most else None


def share(some: float | None, of: float | None) -> float | None:
    """`some` ÷ `of`; None where nothing was counted, or more than all."""
    return some / of if some is not None and of and some <= of else None


def version(text: bytes) -> Reading:
    """Of an answer that says `version` and may say more."""
    fields = parsed(text)
    return Reading(facts=said(version=word(fields.get("version")) if isinstance(fields, dict) else ""))


def tokens(value: Any) -> int | None:
    """A context length as engines write it; None for anything else, 0 included, which means "the model's own"."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAX_CONTEXT:
        return value
    return None
