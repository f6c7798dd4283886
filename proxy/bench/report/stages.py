"""Where the time of requests went, stage by stage, with what nobody accounts for as a stage of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from proxy.bench.series import Series

UNATTRIBUTED: Final = "unattributed"
ORDER: Final = (
    "retrieval",
    "rerank",
    "prompt_assembly",
    "queue",
    "window",
    "prefill",
    "decode",
    "engine",
    "repair",
    "post_process",
)
"""In which they happen; others come behind them by name."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Of a series: means over those successful requests of which stages are known."""

    label: str
    n: int
    means_ms: dict[str, float]
    """In order; they add up to the mean E2E, unless the stages told are longer than that."""


def breakdown(series: Series) -> Breakdown | None:
    """None: nobody told a stage."""
    found: list[tuple[dict[str, float], float]] = []
    for row, detail in zip(series.rows, series.details, strict=True):
        if row.success and row.e2e_ms is not None and detail and (told := _told(detail.stages_ms)):
            found.append((told, row.e2e_ms))
    if not found:
        return None
    names = {name for told, _ in found for name in told}
    ordered = [name for name in ORDER if name in names] + sorted(names.difference(ORDER))
    means = {name: fmean(told.get(name, 0.0) for told, _ in found) for name in ordered}
    means[UNATTRIBUTED] = fmean(max(0.0, e2e - sum(told.values())) for told, e2e in found)
    return Breakdown(series.label, len(found), means)


def breakdowns(series: Sequence[Series]) -> list[Breakdown]:
    """Of those that have one."""
    return [found for one in series if (found := breakdown(one))]


def _told(stages_ms: dict[str, float]) -> dict[str, float]:
    return {name: ms for name, ms in stages_ms.items() if name not in (UNATTRIBUTED, "total")}
