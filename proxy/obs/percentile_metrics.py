"""Percentiles of the last minutes as gauges: no `rate`, no buckets in between."""

from collections.abc import Iterable, Iterator
from typing import Final

from proxy.obs.families import Family, gauges
from proxy.obs.percentiles import Percentile

_TEXTS: Final = {
    "ttft": "Streams: time to first token",
    "tpot": "Streams: time per output token after the first",
    "e2e": "From received to the last byte sent",
    "queue": "Time held here",
}
_LABELS: Final = ("by", "name", "window")
Row = tuple[tuple[str, ...], float]


def percentile_families(read: Iterable[Percentile]) -> Iterator[Family]:
    """All series; of dimensions (by) and values (name), of each window, P50, P95 and P99."""
    values: dict[str, list[Row]] = {measure: [] for measure in _TEXTS}
    counts: dict[str, list[Row]] = {measure: [] for measure in _TEXTS}
    for one in read:
        key = (one.by or "all", one.name or "all", one.window)
        values[one.measure] += [((*key, "50"), one.p50_s), ((*key, "95"), one.p95_s), ((*key, "99"), one.p99_s)]
        counts[one.measure].append((key, float(one.values)))
    for measure, text in _TEXTS.items():
        told = f"{text}, percentiles of a sliding window, within 1 %; by class, model, backend, warmth, output or all."
        yield gauges(f"tidegate_recent_{measure}_seconds", told, (*_LABELS, "percentile"), values[measure])
    yield gauges(
        "tidegate_recent_values",
        "Values that such percentiles are of, by measure.",
        (*_LABELS, "measure"),
        [((*key, measure), count) for measure, rows in counts.items() for key, count in rows],
    )
