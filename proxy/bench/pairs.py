"""Two servers, the same requests: how much later is one, and is that more than noise?

Owns the statistics of pairs. Intervals are of a bootstrap that draws whole pairs (scipy, an extra); without it a
difference stands alone. A percentile is compared only where some pairs are beyond it.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal

from proxy.bench.run_file import Comparison, Interval
from proxy.bench.run_folder import Measured

METRICS: Final = ("ttft_ms", "e2e_ms", "tpot_ms")
STATISTICS: Final[dict[Literal["mean", "median", "p95", "p99"], int]] = {
    "mean": 2,
    "median": 10,
    "p95": 100,
    "p99": 500,
}
"""What is compared → pairs that it takes."""
_DRAWS: Final = 2000
_BATCH: Final = 50
_SHARES: Final = {"p95": 95.0, "p99": 99.0}


def comparisons(cell: str, requests: Iterable[Measured], seed: int) -> list[Comparison]:
    """`url` less `direct`, of requests that both answered."""
    by_side: dict[str, dict[int, Measured]] = {"url": {}, "direct": {}}
    for one in requests:
        if one.row.success:
            by_side[one.detail.side][one.detail.index] = one
    both = sorted(by_side["url"].keys() & by_side["direct"].keys())
    pairs = [(by_side["url"][number], by_side["direct"][number]) for number in both]
    found = []
    for statistic, least in STATISTICS.items():
        differences = {}
        for metric in METRICS:
            values = [(getattr(a.row, metric), getattr(b.row, metric)) for a, b in pairs]
            known = [(a, b) for a, b in values if a is not None and b is not None]
            if len(known) >= least:
                differences[metric] = difference(statistic, [a for a, _ in known], [b for _, b in known], seed)
        if differences:
            found.append(Comparison(cell=cell, statistic=statistic, differences=differences))
    return found


def difference(statistic: str, ours: Sequence[float], theirs: Sequence[float], seed: int) -> Interval:
    """Of pairs, in the same order: the mean or median of what one is more than the other, or what its percentile is."""
    try:
        import numpy  # with scipy, an extra
        from scipy.stats import bootstrap
    except ModuleNotFoundError:
        return Interval(value=round(_plain(statistic, ours, theirs), 4), n=len(ours))

    def of(a: Any, b: Any, axis: int = -1) -> Any:
        if statistic == "mean":
            return numpy.mean(a - b, axis=axis)
        if statistic == "median":
            return numpy.median(a - b, axis=axis)
        share = _SHARES[statistic]
        return numpy.percentile(a, share, axis=axis) - numpy.percentile(b, share, axis=axis)

    arrays = (numpy.asarray(ours, dtype=float), numpy.asarray(theirs, dtype=float))
    value = float(of(*arrays))
    if not numpy.any(arrays[0] - arrays[1] != (arrays[0] - arrays[1])[0]):
        return Interval(value=round(value, 4), low=round(value, 4), high=round(value, 4), n=len(ours))
    drawn = bootstrap(
        arrays,
        of,
        paired=True,
        vectorized=True,
        n_resamples=_DRAWS,
        batch=_BATCH,
        method="percentile",
        rng=numpy.random.default_rng(seed),
    )
    low, high = (round(float(bound), 4) for bound in drawn.confidence_interval)
    return Interval(value=round(value, 4), low=low, high=high, n=len(ours))


def _plain(statistic: str, ours: Sequence[float], theirs: Sequence[float]) -> float:
    from statistics import fmean, median

    pairs = [a - b for a, b in zip(ours, theirs, strict=True)]
    if statistic == "mean":
        return fmean(pairs)
    if statistic == "median":
        return median(pairs)
    return _percentile(ours, _SHARES[statistic]) - _percentile(theirs, _SHARES[statistic])


def _percentile(values: Sequence[float], share: float) -> float:
    """Between the two nearest, as numpy's."""
    ordered = sorted(values)
    at = (len(ordered) - 1) * share / 100
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)
