"""What the clients of a scene saw, in numbers. Pure: what was seen goes in, rows and plain values come out."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from proxy.report.tables import Row
from proxy.sim.http.traffic import Kind, Seen

TTFT_S: Final = 0.2
TPOT_S: Final = 0.05
"""What chats are promised: the first token within so long, then one within so long on average."""
SETTLED_S: Final = 10.0
KINDS: Final[tuple[Kind, ...]] = ("chat", "bulk")
HEADER: Final[Row] = (
    "scene", "class", "asked", "in SLO %", "refused", "lost", "cut", "TTFT p50/p99 ms", "TPOT p50 ms", "good tok/s",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Result:
    """One class in one scene."""

    asked: int = 0
    good: int = 0
    """Served within everything promised; bulk is promised nothing but an answer."""
    refused: int = 0
    lost: int = 0
    cut: int = 0
    ttft_p50_s: float | None = None
    ttft_p99_s: float | None = None
    tpot_p50_s: float | None = None
    good_tokens_per_s: float = 0.0
    by_backend: dict[str, int] = field(default_factory=dict)
    """Requests answered, by who answered."""
    settled: dict[str, int] = field(default_factory=dict)
    """The same of those asked `SETTLED_S` after the beginning or later: when what has changed can be known."""

    @property
    def share_good(self) -> float:
        """Of those asked; 1 where nothing was."""
        return self.good / self.asked if self.asked else 1.0

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self) | {"share_good": round(self.share_good, 4)}

    def row(self, scene: str, kind: Kind) -> Row:
        """As `HEADER` says."""
        return (
            scene,
            kind,
            str(self.asked),
            f"{100 * self.share_good:.1f}" if self.asked else "-",
            str(self.refused),
            str(self.lost),
            str(self.cut),
            f"{_ms(self.ttft_p50_s)}/{_ms(self.ttft_p99_s)}",
            _ms(self.tpot_p50_s),
            f"{self.good_tokens_per_s:.0f}",
        )


def is_good(seen: Seen) -> bool:
    """Whether everything promised was kept."""
    if seen.end != "served":
        return False
    return seen.kind == "bulk" or (_within(seen.ttft_s, TTFT_S) and _within(seen.tpot_s, TPOT_S))


def result_of(seen: Iterable[Seen], kind: Kind, began: float, seconds: float) -> Result:
    """Of what was asked in one class within so many seconds from `began` on. Who still waits counts once he is late."""
    own = [one for one in seen if one.kind == kind and (one.end != "waiting" or _is_late(one))]
    ends = Counter(one.end for one in own)
    first = sorted(one.ttft_s for one in own if one.ttft_s is not None)
    pace = sorted(one.tpot_s for one in own if one.tpot_s is not None)
    good = [one for one in own if is_good(one)]
    return Result(
        asked=len(own),
        good=len(good),
        refused=ends["refused"],
        lost=ends["lost"],
        cut=ends["cut"],
        ttft_p50_s=quantile(first, 0.5),
        ttft_p99_s=quantile(first, 0.99),
        tpot_p50_s=quantile(pace, 0.5),
        good_tokens_per_s=sum(one.tokens for one in good) / seconds if seconds > 0 else 0.0,
        by_backend=_by_backend(own),
        settled=_by_backend(one for one in own if one.asked >= began + SETTLED_S),
    )


def _by_backend(seen: Iterable[Seen]) -> dict[str, int]:
    return dict(Counter(one.backend for one in seen if one.backend))


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The least value that so large a share is at most."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def live_line(seen: Sequence[Seen], tokens_per_s: float) -> str:
    """Of what was seen recently."""
    chats = result_of(seen, "chat", 0.0, 1.0)
    bulk = result_of(seen, "bulk", 0.0, 1.0)
    return (
        f"chats: {chats.good} of {chats.asked} in SLO, {chats.refused} refused, "
        f"TTFT p50 / p99 {_ms(chats.ttft_p50_s)} / {_ms(chats.ttft_p99_s)} ms | bulk: {bulk.good} of {bulk.asked} done"
        f" | failed {chats.lost + chats.cut + bulk.lost + bulk.cut} | {tokens_per_s:,.0f} tokens/s"
    )


def _is_late(waiting: Seen) -> bool:
    return waiting.kind == "chat" and not _within(waiting.ttft_s, TTFT_S)


def _within(value: float | None, limit: float) -> bool:
    return value is None or value <= limit


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e3:.0f}"
