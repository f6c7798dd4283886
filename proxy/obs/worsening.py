"""Whether answers have become worse, by counts before and after a change. Pure.

Two shares are compared: of requests that were answered with an error, and of jobs promised a time to first token that
missed it. Each is a share of so many, and could have come out otherwise by chance: of the one before the most that it
may really be is taken, of the one now the least (Wilson's interval, three standard errors each way). It is worse when
they do not overlap by a margin, and there are some of them. With few requests neither says anything: nothing is rolled
back on a guess, and a stop of all traffic is not noticed here.
"""

from math import sqrt
from typing import Final, NamedTuple

LEAST: Final = 20
"""Requests after the change before they are judged."""
LEAST_BAD: Final = 5
"""Of these bad ones."""
MARGIN: Final = 0.02
"""What may become worse unnoticed: two in a hundred."""
_Z: Final = 3.0


class Tally(NamedTuple):
    """Counts since some moment; the difference of two is what happened in between."""

    requests: int = 0
    """Answered, by whoever; clients that left do not count."""
    errors: int = 0
    """Of them with an error."""
    promised: int = 0
    """Streams that were promised a time to first token."""
    late: int = 0
    """Of them those that missed it."""

    def since(self, before: "Tally") -> "Tally":
        """What was counted between the two."""
        return Tally(*[now - then for now, then in zip(self, before, strict=True)])


def worse(before: Tally, after: Tally) -> str | None:
    """What has become worse, in words; None: nothing that can be told from chance."""
    if _is_worse(before.errors, before.requests, after.errors, after.requests):
        return _said("errors", before.errors, before.requests, after.errors, after.requests)
    if _is_worse(before.late, before.promised, after.late, after.promised):
        return _said("late first tokens", before.late, before.promised, after.late, after.promised)
    return None


def bounds(bad: int, of: int) -> tuple[float, float]:
    """Wilson's interval for a share: the least and the most that it may be; of none, anything."""
    if not of:
        return 0.0, 1.0
    share, z2 = bad / of, _Z * _Z
    middle = share + z2 / (2 * of)
    spread = _Z * sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    least, most = (middle - spread) / (1 + z2 / of), (middle + spread) / (1 + z2 / of)
    return max(0.0, least) if bad else 0.0, min(1.0, most) if bad < of else 1.0


def _is_worse(bad_before: int, before: int, bad_after: int, after: int) -> bool:
    if after < LEAST or bad_after < LEAST_BAD:
        return False
    return bounds(bad_after, after)[0] > bounds(bad_before, before)[1] + MARGIN


def _said(what: str, bad_before: int, before: int, bad_after: int, after: int) -> str:
    return f"{what}: {bad_after} of {after} since the change, {bad_before} of {before} before it"
