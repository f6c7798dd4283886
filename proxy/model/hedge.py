"""When a request of a class is sent to a second backend because the first one is late, and how often."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from proxy.model.bounds import Bounds, Form
from proxy.model.units import parse_duration_s

OFF = "off"
QUANTILES = {"p90": 0.9, "p95": 0.95, "p99": 0.99}
"""What `after` may name → share of requests that have begun to answer by then."""


class Hedge(NamedTuple):
    """The rule of one class, all filled in."""

    quantile: float
    """The learned quantile of the time to first byte after which an attempt is late; 0: `delay_s` says."""
    delay_s: float
    budget: float
    """Hedges per request of the class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HedgeSettings:
    """A second attempt on another backend, beside one that is late; the first good answer is the client's. Only before
    the first byte, and only of requests that leave nothing behind on a backend (`responses` may)."""

    after: Annotated[str, Form.DELAY] = OFF
    """How long a first byte may take: `p95`, the learned quantile for prompts of this size (also `p90`, `p99`), or a
    duration such as `300ms`. `hedge: p95` is short for this option alone."""
    budget: Annotated[float, Form.PERCENT, Bounds(gt=0, le=0.5)] = 0.05
    """Hedges as a share of the requests of the class: what may be computed twice."""

    def rule(self) -> Hedge | None:
        """None: never."""
        if self.after == OFF:
            return None
        quantile = QUANTILES.get(self.after)
        if quantile is not None:
            return Hedge(quantile, 0.0, self.budget)
        return Hedge(0.0, float(parse_duration_s(self.after)), self.budget)
