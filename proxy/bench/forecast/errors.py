"""How far a model is from what came: percentiles of the one beside percentiles of the other.

Owns which figures count. From which error on no forecast is made: `report.forecast`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from proxy.bench.forecast.calls import Call
from proxy.bench.forecast.fitting import Times
from proxy.bench.percentiles import least_n, rank

_FIGURES: Final = (("ttft_p50", 0.5), ("ttft_p99", 0.99), ("tpot_p50", 0.5), ("e2e_p50", 0.5))


@dataclass(frozen=True, slots=True)
class Figure:
    """One percentile of the log and of the model, seconds."""

    name: str
    n: int
    came: float
    modelled: float

    @property
    def error(self) -> float:
        """Relative; below 0: the model is too fast."""
        return self.modelled / self.came - 1 if self.came > 0 else 0.0


def figures(calls: Sequence[Call], times: Sequence[Times]) -> list[Figure]:
    """After dispatch, of the judged calls; only percentiles that so many calls have."""
    pairs = [(call, time) for call, time in zip(calls, times, strict=True) if call.is_judged]
    longer = [(call, time) for call, time in pairs if call.output > 1]
    values = {
        "ttft": [(call.ttft_s, time.first - time.sent) for call, time in pairs],
        "tpot": [(call.tpot_s or 0.0, (time.done - time.first) / (call.output - 1)) for call, time in longer],
        "e2e": [(call.e2e_s, time.done - time.sent) for call, time in pairs],
    }
    found = []
    for name, share in _FIGURES:
        both = values[name.partition("_")[0]]
        if len(both) >= least_n(share):
            came, modelled = (sorted(side)[rank(len(both), share) - 1] for side in zip(*both, strict=True))
            found.append(Figure(name, len(both), came, modelled))
    return found


def worst(found: Sequence[Figure]) -> float:
    """The largest error, of either sign; 1 where there is no figure at all."""
    return max((abs(figure.error) for figure in found), default=1.0)
