"""Two runs compared: how much a percentile, a mean, the success or the goodput changed, and is that more than noise?

Owns the statistics. Runs of one plan (the same requests in the same order) are compared pair by pair, which takes what
requests differ in out of the noise; others as two samples. Ranges are bootstrapped, 95 %. Needs scipy and what comes
with it (the extra `tidegate[bench]`). Failed requests have no latency: their share is a metric of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from proxy.bench.percentiles import least_n, rank
from proxy.bench.rows import Row
from proxy.bench.series import METRICS, Metric, Series

Statistic = Literal["mean", "p50", "p95", "p99", "share"]
SHARES: Final[dict[Statistic, float]] = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
_DRAWS: Final = 2000
_BLOCK: Final = 4_000_000
"""Values drawn at once, so that memory stays bounded."""
_LEAST_MEAN: Final = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """What is compared, by the name that a gate uses."""

    statistic: Statistic
    of: Metric | Literal["success", "goodput"]

    @property
    def name(self) -> str:
        """Such as `p99_ttft`, `success`."""
        return self.of if self.statistic == "share" else f"{self.statistic}_{self.of}"

    @property
    def unit(self) -> str:
        """Of its values."""
        return "%" if self.statistic == "share" else "ms"

    @property
    def more_is_worse(self) -> bool:
        """Latencies should fall, shares rise."""
        return self.statistic != "share"


FIGURES: Final = (
    *(Figure(statistic, metric) for metric in METRICS for statistic in ("p50", "p95", "p99", "mean")),
    Figure("share", "success"),
    Figure("share", "goodput"),
)
BY_NAME: Final = {one.name: one for one in FIGURES}


@dataclass(frozen=True, slots=True)
class Change:
    """Of one figure. Values in milliseconds, of shares in percent; changes are `new` less `base`."""

    figure: Figure
    base: float | None
    new: float | None
    """None: too few values."""
    absolute: tuple[float, float, float] | None
    """The change and its range."""
    relative: tuple[float, float, float] | None
    """The same in percent of `base`."""
    n: tuple[int, int]
    paired: bool

    @property
    def is_real(self) -> bool:
        """More than noise: the range does not hold zero."""
        return self.absolute is not None and (self.absolute[1] > 0 or self.absolute[2] < 0)


class Judge(Protocol):
    """Says which requests are good: one promise for all, or each by its own."""

    def is_kept(self, row: Row, /) -> bool:
        """Of one request."""


def changes(base: Series, new: Series, promise: Judge, seed: int = 0) -> list[Change]:
    """All figures that either has values of."""
    pairs = _pairs(base, new)
    found = []
    for figure in FIGURES:
        before, after, paired = _samples(figure, base, new, pairs, promise)
        if before or after:
            found.append(_change(figure, before, after, paired, seed))
    return found


def is_paired(base: Series, new: Series) -> bool:
    """Whether they are the same requests."""
    return _pairs(base, new) is not None


def _pairs(base: Series, new: Series) -> list[tuple[int, int]] | None:
    """Positions of the same requests. None: it is another plan, or nobody says."""
    if not all(base.details) or not all(new.details):
        return None
    places = {(one.index, one.digest): place for place, one in enumerate(new.details) if one}
    found = [
        (place, places[one.index, one.digest])
        for place, one in enumerate(base.details)
        if one and (one.index, one.digest) in places
    ]
    return found if len(found) >= 0.9 * max(base.n, new.n) else None


def _samples(
    figure: Figure, base: Series, new: Series, pairs: list[tuple[int, int]] | None, promise: Judge
) -> tuple[list[float], list[float], bool]:
    value = _value_of(figure, promise)
    before, after = [value(row) for row in base.rows], [value(row) for row in new.rows]
    if pairs is not None:
        both = [(before[one], after[other]) for one, other in pairs]
        whole = [(one, other) for one, other in both if one is not None and other is not None]
        return [one for one, _ in whole], [other for _, other in whole], True
    return [one for one in before if one is not None], [one for one in after if one is not None], False


def _value_of(figure: Figure, promise: Judge) -> Callable[[Any], float | None]:
    if figure.of == "success":
        return lambda row: 100.0 * row.success
    if figure.of == "goodput":
        return lambda row: 100.0 * promise.is_kept(row)
    name = f"{figure.of}_ms"
    return lambda row: getattr(row, name) if row.success else None


def _change(figure: Figure, before: list[float], after: list[float], paired: bool, seed: int) -> Change:
    n = (len(before), len(after))
    least = least_n(SHARES[figure.statistic]) if figure.statistic in SHARES else _LEAST_MEAN
    base = _statistic(figure.statistic, before) if len(before) >= least else None
    new = _statistic(figure.statistic, after) if len(after) >= least else None
    if base is None or new is None:
        return Change(figure, base, new, None, None, n, paired)
    drawn = _drawn_pairs if paired else _drawn_apart
    differences, ratios = drawn(figure.statistic, before, after, seed)
    absolute = (new - base, *_range(differences))
    relative = (100 * (new / base - 1), *_range(ratios)) if base > 0 else None
    return Change(figure, base, new, absolute, relative, n, paired)


def _statistic(statistic: Statistic, values: Sequence[float]) -> float:
    if statistic in SHARES:
        return sorted(values)[rank(len(values), SHARES[statistic]) - 1]
    return sum(values) / len(values)


def _drawn_pairs(statistic: Statistic, before: list[float], after: list[float], seed: int) -> tuple[Any, Any]:
    """Pairs are drawn anew together: what two runs have in common stays common."""
    import numpy as np

    rng = np.random.default_rng(seed)
    both = np.array([before, after])
    n = both.shape[1]
    olds, news = [], []
    at_once = max(1, min(_DRAWS, _BLOCK // n))
    for start in range(0, _DRAWS, at_once):
        chosen = both[:, rng.integers(0, n, size=(min(at_once, _DRAWS - start), n))]
        found = _over_last(statistic, chosen, n)
        olds.append(found[0])
        news.append(found[1])
    return _compared(np.concatenate(olds), np.concatenate(news))


def _drawn_apart(statistic: Statistic, before: list[float], after: list[float], seed: int) -> tuple[Any, Any]:
    import numpy as np

    rng = np.random.default_rng(seed)
    return _compared(_drawn(statistic, before, rng), _drawn(statistic, after, rng))


def _drawn(statistic: Statistic, values: list[float], rng: Any) -> Any:
    """The statistic of so many samples. That of order k among n drawn with replacement is the value at a place that is
    distributed as Beta(k, n - k + 1), so nothing has to be drawn and sorted."""
    import numpy as np

    ordered, n = np.sort(np.array(values)), len(values)
    if statistic in SHARES:
        k = rank(n, SHARES[statistic])
        places = np.ceil(n * rng.beta(k, n - k + 1, size=_DRAWS)).astype(int)
        return ordered[np.clip(places, 1, n) - 1]
    at_once = max(1, min(_DRAWS, _BLOCK // n))
    lots = [
        ordered[rng.integers(0, n, size=(min(at_once, _DRAWS - start), n))].mean(axis=1)
        for start in range(0, _DRAWS, at_once)
    ]
    return np.concatenate(lots)


def _over_last(statistic: Statistic, chosen: Any, n: int) -> Any:
    import numpy as np

    if statistic in SHARES:
        place = rank(n, SHARES[statistic]) - 1
        return np.partition(chosen, place, axis=-1)[..., place]
    return chosen.mean(axis=-1)


def _compared(olds: Any, news: Any) -> tuple[Any, Any]:
    known = olds > 0
    return news - olds, 100 * (news[known] / olds[known] - 1)


def _range(drawn: Any) -> tuple[float, float]:
    import numpy as np

    if not len(drawn):
        return float("-inf"), float("inf")
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(low), float(high)
