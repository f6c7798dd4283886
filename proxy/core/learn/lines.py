"""What lines of batches cost those who wait for a first token on one backend, by our own books.

A line that decodes makes each step longer, and a first token takes a step or two; one whose prompt is computed makes
whoever comes meanwhile wait for the rest of it, half of it on average. Owns that sum, what a first token usually takes
there, and whether anybody else is there at all. Mean delays add up for long prompts and short ones alike: one line that
takes a second to read costs as much as four hundred that take 50 ms.
"""

from math import exp, inf, log
from typing import Final

from proxy.core.learn.decaying import Decaying
from proxy.core.learn.entry import Entry

_PRESENT_S: Final = 30.0
"""Others are taken to be there for so long after the last of them came."""
_MEMORY_S: Final = 30.0
"""Of the prompts of lines."""
_STEPS: Final = 2.0
"""Steps of the engine that a first token waits for: what is left of one, and its own."""
_WEIGHT: Final = 0.05
"""Of the newest of the others."""


class LinesThere:
    """Of one backend."""

    __slots__ = ("_came_at", "_others", "_reading", "_usual", "count")

    def __init__(self) -> None:
        self.count = 0
        """Lines that are out."""
        self._others = 0
        self._came_at = -inf
        self._usual = 0.0
        """Logarithm of the seconds that the prompts of others take."""
        self._reading = Decaying(_MEMORY_S)
        """Mean seconds that somebody who comes now waits for the prompt of a line."""

    def sent(self, entry: Entry, now: float) -> None:
        """An attempt goes out."""
        if entry.yields:
            self.count += 1
            self._reading.add(0.5 * entry.work * entry.work / _MEMORY_S, now)
        elif not entry.bulk:
            usual = log(max(entry.cost, 1e-3))
            self._usual = usual if self._came_at == -inf else self._usual + _WEIGHT * (usual - self._usual)
            self._others += 1
            self._came_at = now

    def left(self, entry: Entry) -> None:
        """An attempt is over."""
        if entry.yields:
            self.count -= 1
        elif not entry.bulk:
            self._others -= 1

    def is_alone(self, now: float) -> bool:
        """Whether nobody is there whom lines could keep waiting."""
        return not self._others and now - self._came_at > _PRESENT_S

    def delays(self, step_s: float, now: float) -> float:
        """Share by which first tokens come later with one line more, which makes a step longer by `step_s`. What its
        prompt takes counts afterwards: else a very long one would never go."""
        reading_s = self._reading.at(now)
        decoding_s = _STEPS * step_s * (self.count + 1) if self.count else 0.0
        return (decoding_s + reading_s) * exp(-self._usual)
