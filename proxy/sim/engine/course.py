"""What happens to one modelled engine while it is played, in words:

    outage at 60s for 20s       dead: refuses connections, loses its work and prefix cache; without `for`: for good
    slow x5 from 30s to 90s     every step takes five times as long, without a word; without `to`: for good
    refuse from 30s to 60s      it says 503 to everything new and goes on with what it has
    noise 10%                   each step by itself is longer or shorter: the standard deviation of its logarithm

Owns that grammar and its bounds. Doing it is the world's.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import inf, prod
from typing import Final

from proxy.model.units import format_duration, parse_duration_s

NOISE_MAX: Final = 1.0
"""More than this is no noise: one step in six would take 2.7 times as long."""
FACTOR_MAX: Final = 10_000.0
MAX_PHASES: Final = 1024
"""Of one engine."""
EXAMPLES: Final = "outage at 60s for 20s, slow x5 from 30s to 90s, refuse from 30s to 60s, noise 10%"
_TIME: Final = r"(\S+)"
_PHRASES: Final = {
    "outage": re.compile(rf"outage at {_TIME}(?: for {_TIME})?"),
    "slow": re.compile(rf"slow x(\S+) from {_TIME}(?: to {_TIME})?"),
    "refuse": re.compile(rf"refuse from {_TIME}(?: to {_TIME})?"),
    "noise": re.compile(r"noise (\S+) ?%"),
}


class What(StrEnum):
    """What a phase does."""

    OUTAGE = "outage"
    SLOW = "slow"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class CoursePhase:
    """Something that lasts from `start` until before `end`, seconds."""

    what: What
    start: float
    end: float = inf
    factor: float = 1.0
    """Of a slow phase."""

    def __str__(self) -> str:
        """As it may be written."""
        start, end = format_duration(self.start), "" if self.end == inf else format_duration(self.end)
        if self.what is What.OUTAGE:
            return f"outage at {start}" + (f" for {format_duration(self.end - self.start)}" if end else "")
        named = f"slow x{self.factor:g}" if self.what is What.SLOW else "refuse"
        return f"{named} from {start}" + (f" to {end}" if end else "")


@dataclass(frozen=True, slots=True)
class Course:
    """All that happens to one engine."""

    phases: tuple[CoursePhase, ...] = ()
    noise: float = 0.0
    """Standard deviation of the logarithm of a step's length."""
    retry_after_s: float | None = None
    """What it says with a refusal; None: nothing, as vLLM."""

    def factor(self, now: float) -> float:
        """Its steps take so many times as long."""
        return prod(phase.factor for phase in self.phases if phase.what is What.SLOW and phase.start <= now < phase.end)

    def refuses(self, now: float) -> bool:
        """Whether it takes nothing new."""
        return any(phase.what is What.REFUSE and phase.start <= now < phase.end for phase in self.phases)

    def of(self, what: What) -> list[CoursePhase]:
        """The phases of one kind."""
        return [phase for phase in self.phases if phase.what is what]

    def beyond(self, end: float) -> CoursePhase | None:
        """A phase that begins after the traffic, or an outage that outlasts it without being for good."""
        for phase in self.phases:
            if phase.start >= end or (phase.what is What.OUTAGE and end < phase.end < inf):
                return phase
        return None


STEADY: Final = Course()
"""Nothing happens."""


def is_phrase(text: str) -> bool:
    """Whether this is meant as one."""
    return text.split(" ", 1)[0] in _PHRASES


def read_course(phrases: Sequence[str], retry_after_s: float | None = None) -> Course:
    """Raises ValueError, saying which phrase is wrong and why."""
    if len(phrases) > MAX_PHASES:
        raise ValueError(f"{len(phrases)} things happen to one engine; at most {MAX_PHASES}")
    phases: list[CoursePhase] = []
    noise: float | None = None
    for phrase in (" ".join(text.split()) for text in phrases):
        try:
            found = _read(phrase)
        except ValueError as error:
            raise ValueError(f"{phrase!r}: {error}") from None
        if isinstance(found, CoursePhase):
            phases.append(found)
        elif noise is None:
            noise = found
        else:
            raise ValueError(f"{phrase!r}: there is noise already")
    _check_apart(phases)
    return Course(tuple(phases), noise or 0.0, retry_after_s)


def _read(phrase: str) -> CoursePhase | float:
    """A phase, or noise."""
    word = phrase.split(" ", 1)[0]
    match = _PHRASES[word].fullmatch(phrase) if word in _PHRASES else None
    if match is None:
        raise ValueError(f"is not understood; write for example {EXAMPLES}")
    if word == "noise":
        return _number(match[1], "noise", 0.0, 100 * NOISE_MAX, " %") / 100
    if word == "slow":
        factor = _number(match[1], "slow x", 1 / FACTOR_MAX, FACTOR_MAX, "")
        return _phase(What.SLOW, _seconds(match[2]), _seconds(match[3]) if match[3] else inf, factor)
    if word == "refuse":
        return _phase(What.REFUSE, _seconds(match[1]), _seconds(match[2]) if match[2] else inf)
    start = _seconds(match[1])
    return _phase(What.OUTAGE, start, start + _seconds(match[2]) if match[2] else inf)


def _phase(what: What, start: float, end: float, factor: float = 1.0) -> CoursePhase:
    if end <= start:
        raise ValueError("ends before it has begun")
    return CoursePhase(what, start, end, factor)


def _seconds(text: str) -> float:
    return float(parse_duration_s(text))


def _number(text: str, what: str, least: float, most: float, unit: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number") from None
    if not least <= number <= most:
        raise ValueError(f"{what} must be between {least:g} and {most:g}{unit}")
    return number


def _check_apart(phases: Iterable[CoursePhase]) -> None:
    """Of one kind, one after the other."""
    ordered = sorted(phases, key=lambda phase: (phase.what, phase.start))
    for before, after in pairwise(ordered):
        if before.what is after.what and after.start < before.end:
            raise ValueError(f"'{before}' and '{after}' overlap")
