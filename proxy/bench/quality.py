"""Two answers to each prompt, of a model and of a reference, greedily decoded: how often are they the same, where do
they part, how long are they, what did each cost? For who wants to know what a quantised model does on their own task.

Owns what is said of a pair. A difference is no judgement: two answers may both be right.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, median
from typing import Final

from proxy.bench.run_folder import Measured, Run

_Z: Final = 1.959964
"""Of a range of 95 %."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One prompt, answered twice."""

    cell: str
    index: int
    ours: Measured
    reference: Measured

    @property
    def texts(self) -> tuple[str, str]:
        """Ours, then the reference's."""
        return self.ours.detail.text or "", self.reference.detail.text or ""

    @property
    def is_same(self) -> bool:
        """To the last character."""
        mine, other = self.ours.detail, self.reference.detail
        return mine.text_digest == other.text_digest

    @property
    def parts_at(self) -> int | None:
        """Characters that both begin with. None: they are the same, or texts were not kept."""
        ours, theirs = self.texts
        if self.is_same or not (ours or theirs):
            return None
        shorter = min(len(ours), len(theirs))
        return next((at for at in range(shorter) if ours[at] != theirs[at]), shorter)

    @property
    def shared(self) -> float | None:
        """The same as a share of the reference's text; 1: they are the same."""
        if self.is_same:
            return 1.0
        at, whole = self.parts_at, len(self.texts[1])
        return None if at is None else at / whole if whole else 0.0


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two, over all pairs; None: it was not measured."""

    tokens: float | None
    ttft_ms: float | None
    tpot_ms: float | None
    e2e_ms: float | None
    """Medians."""


@dataclass(frozen=True, slots=True)
class Quality:
    """Of some pairs."""

    pairs: int
    unanswered: int
    """Prompts of which one or both failed; they are in none of the numbers."""
    same: int
    same_range: tuple[float, float]
    """Of the share that is the same (Wilson, 95 %)."""
    parts_at: float | None
    """Characters, median of those that part."""
    shared: float | None
    """Mean share of the reference's text up to where they part."""
    length: float | None
    """Mean of our tokens over the reference's, request by request."""
    ours: Side
    reference: Side


def pairs_of(run: Run) -> tuple[list[Pair], int]:
    """Of a paired run: `url` is ours, `direct` the reference; and how many prompts lack an answer of either."""
    return paired(run.requests, run.requests, ("url", "direct"))


def paired(
    ours: Iterable[Measured], reference: Iterable[Measured], sides: tuple[str, str] | None = None
) -> tuple[list[Pair], int]:
    """Of two runs of one plan, or of the sides of one. Only the same prompts are a pair."""
    mine, other = sides or (None, None)
    theirs = {_key(one): one for one in reference if other in (None, one.detail.side)}
    found, unanswered = [], 0
    for one in ours:
        if mine in (None, one.detail.side) and (against := theirs.get(_key(one))) is not None:
            if one.row.success and against.row.success:
                found.append(Pair(one.detail.cell, one.detail.index, one, against))
            else:
                unanswered += 1
    return found, unanswered


def _key(one: Measured) -> tuple[str, int, str]:
    return one.detail.cell, one.detail.index, one.detail.digest


def quality(pairs: Sequence[Pair], unanswered: int = 0) -> Quality:
    """What is said of them."""
    same = sum(pair.is_same for pair in pairs)
    shares = [pair.shared for pair in pairs]
    lengths = [
        ours / theirs
        for pair in pairs
        if (ours := pair.ours.row.output_tokens) is not None and (theirs := pair.reference.row.output_tokens)
    ]
    return Quality(
        pairs=len(pairs),
        unanswered=unanswered,
        same=same,
        same_range=wilson(same, len(pairs)),
        parts_at=_median(pair.parts_at for pair in pairs),
        shared=fmean(share for share in shares if share is not None) if any(s is not None for s in shares) else None,
        length=fmean(lengths) if lengths else None,
        ours=_side([pair.ours for pair in pairs]),
        reference=_side([pair.reference for pair in pairs]),
    )


def wilson(hits: int, n: int) -> tuple[float, float]:
    """The range of a share (E. B. Wilson, 1927): sound for few values and for shares near 0 and 1 too."""
    if not n:
        return 0.0, 1.0
    share, z2 = hits / n, _Z * _Z / n
    middle = (share + z2 / 2) / (1 + z2)
    half = _Z / (1 + z2) * sqrt(share * (1 - share) / n + z2 / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def _side(found: Sequence[Measured]) -> Side:
    rows = [one.row for one in found]
    return Side(
        tokens=_median(row.output_tokens for row in rows),
        ttft_ms=_median(row.ttft_ms for row in rows),
        tpot_ms=_median(row.tpot_ms for row in rows),
        e2e_ms=_median(row.e2e_ms for row in rows),
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
