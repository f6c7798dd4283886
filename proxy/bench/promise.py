"""What a request has to keep to count as good: the SLO that a report or a comparison is made for."""

import re
from dataclasses import dataclass
from typing import Final

from proxy.bench.rows import Row

_PART: Final = re.compile(r"(ttft|tpot|e2e)\s*(?:<=|<|=)\s*([0-9]+(?:\.[0-9]+)?)\s*(ms|s|m)")
_MS: Final = {"ms": 1.0, "s": 1e3, "m": 60e3}


@dataclass(frozen=True, slots=True)
class Promise:
    """Milliseconds, at most; None: nothing is promised of it. A request that failed keeps none."""

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    e2e_ms: float | None = None

    @property
    def is_any(self) -> bool:
        """Whether it promises more than an answer."""
        return (self.ttft_ms, self.tpot_ms, self.e2e_ms) != (None, None, None)

    def is_kept(self, row: Row) -> bool:
        """A part that was not measured, as the first token of an answer in one piece, is not broken."""
        return row.success and not (
            _exceeds(row.ttft_ms, self.ttft_ms)
            or _exceeds(row.tpot_ms, self.tpot_ms)
            or _exceeds(row.e2e_ms, self.e2e_ms)
        )

    def __str__(self) -> str:
        """As it is written."""
        parts = (("TTFT", self.ttft_ms), ("TPOT", self.tpot_ms), ("E2E", self.e2e_ms))
        return ", ".join(f"{name} ≤ {limit:g} ms" for name, limit in parts if limit is not None)


def promise(text: str) -> Promise:
    """Of `ttft=200ms,tpot=40ms,e2e=10s`. Raises ValueError with what is wrong."""
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _PART.fullmatch(part)
        if not match:
            raise ValueError(f"{part!r} is none of ttft=200ms, tpot=40ms, e2e=10s")
        name = f"{match[1]}_ms"
        if name in found:
            raise ValueError(f"{match[1]} is promised twice")
        found[name] = float(match[2]) * _MS[match[3]]
    return Promise(**found)


def _exceeds(value: float | None, limit: float | None) -> bool:
    return value is not None and limit is not None and value > limit
