"""The fewest backends that are good enough: of one kind for all, or of one for short requests and one for bulk.

Owns the search. What is good enough is asked of a function, which plays the traffic; more backends of a kind are never
worse to it, or the answer is only near the best one.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import NamedTuple


class Fleet(NamedTuple):
    """Backends by kind. Without bulk ones, the first take everything."""

    kind: str
    number: int
    bulk_kind: str = ""
    bulk_count: int = 0

    @property
    def total(self) -> int:
        """Backends."""
        return self.number + self.bulk_count


Good = Callable[[Fleet], bool]


def fewest(is_good: Callable[[int], bool], most: int) -> int | None:
    """The smallest count from 1 to `most` that is good; None: none is. Doubled, then halved."""
    bad, count = 0, 1
    while not is_good(count):
        if count == most:
            return None
        bad, count = count, min(most, 2 * count)
    while count - bad > 1:
        middle = (bad + count) // 2
        if is_good(middle):
            count = middle
        else:
            bad = middle
    return count


def shared(kinds: Sequence[str], is_good: Good, most: int) -> dict[str, int | None]:
    """Kind → the fewest of it that take everything together."""

    def alone(kind: str) -> Callable[[int], bool]:
        return lambda count: is_good(Fleet(kind, count))

    return {kind: fewest(alone(kind), most) for kind in kinds}


def split(kind: str, bulk_kind: str, is_good: Good, below: int) -> Fleet | None:
    """The smallest good fleet of fewer than `below` backends in all, a part of them for bulk alone.

    More for bulk never needs more for the others, so the edge of what is good is walked along: at most `below` plays
    beside the first search.
    """
    known = cache(is_good)
    best: Fleet | None = None
    count = below - 2
    for bulk in range(1, below - 1):
        limit = below if best is None else best.total
        count = min(count, limit - 1 - bulk)
        if count < 1:
            break
        if not known(Fleet(kind, count, bulk_kind, bulk)):
            continue
        while count > 1 and known(Fleet(kind, count - 1, bulk_kind, bulk)):
            count -= 1
        best = Fleet(kind, count, bulk_kind, bulk)
    return best


def everything(kinds: Sequence[str], most: int) -> Iterator[Fleet]:
    """All fleets of at most so many backends, fewest first: for who wants to be sure."""
    for total in range(1, most + 1):
        for kind in kinds:
            yield Fleet(kind, total)
            for bulk_kind in kinds:
                yield from (Fleet(kind, total - bulk, bulk_kind, bulk) for bulk in range(1, total))
