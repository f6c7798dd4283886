"""Successive halving: many candidates on a little of the traffic, a few on all of it.

Owns who goes on. What a candidate is worth is asked of a function; the clock, too.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

KEPT = 1 / 3
"""Of the candidates, at each rung."""
LEAST = 3
"""Go on to the last rung, if there are so many."""

One = TypeVar("One")


class Ranked(NamedTuple):
    """How it ended."""

    places: tuple[tuple[int, float], ...]
    """Candidates by their place in what was given, and what each was worth on the last rung; the best first."""
    rungs: int
    """Played to the end."""


def halve(
    candidates: Sequence[One], rungs: int, worth: Callable[[One, int], float], is_over: Callable[[], bool]
) -> Ranked:
    """The first candidate is what others are measured by, and is on every rung. `worth`: of a candidate on a rung, from
    0. `is_over`: the time for it is spent; then the last rung that was played to the end counts."""
    going = list(range(len(candidates)))
    best: list[tuple[int, float]] = [(0, 0.0)]
    for rung in range(rungs):
        scores: list[tuple[int, float]] = []
        for index in going:
            if rung and is_over():
                return Ranked(tuple(best), rung)
            scores.append((index, worth(candidates[index], rung)))
            if not rung and is_over():
                break
        best = sorted(scores, key=lambda pair: -pair[1])
        going = [index for index, _ in best[: max(LEAST, round(KEPT * len(best)))]]
        if 0 not in going:
            going.append(0)
    return Ranked(tuple(best), rungs)
