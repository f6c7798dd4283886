"""When a request of a class is sent to a second backend because the first one is late, and how often."""

import re
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from proxy.model.limits import Settings
from proxy.model.units import parse_duration_s

OFF = "off"
QUANTILES = {"p90": 0.9, "p95": 0.95, "p99": 0.99}
"""What `after` may name → share of requests that have begun to answer by then."""
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{0,6})?)%", re.ASCII)


class Hedge(NamedTuple):
    """The rule of one class, all filled in."""

    quantile: float
    """The learned quantile of the time to first byte after which an attempt is late; 0: `delay_s` says."""
    delay_s: float
    budget: float
    """Hedges per request of the class."""


def _after(text: Any) -> str:
    if not isinstance(text, str) or (text not in QUANTILES and text != OFF and not _is_delay(text)):
        raise ValueError(f"must be {', '.join(QUANTILES)}, a duration such as 300ms, or {OFF}")
    return text


def _is_delay(text: str) -> bool:
    try:
        return float(parse_duration_s(text)) > 0
    except ValueError:
        return False


def _percent(value: Any) -> Any:
    """`"5%"` → 0.05; numbers are shares already. Raises ValueError."""
    if not isinstance(value, str):
        return value
    match = _PERCENT.fullmatch(value)
    if match is None:
        raise ValueError("must be a share of the requests, such as 5%")
    return float(match.group(1)) / 100


After = Annotated[
    str,
    BeforeValidator(_after),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(off|p90|p95|p99|([0-9]+(\.[0-9]*)?|\.[0-9]+)(ms|s|m))$",
            "examples": ["p95", "300ms"],
        }
    ),
]
Percent = Annotated[
    float,
    BeforeValidator(_percent),
    AfterValidator(float),
    PlainSerializer(lambda share: f"{share * 100:.10g}%", return_type=str),
    WithJsonSchema({"type": ["string", "number"], "pattern": r"^[0-9]+(\.[0-9]*)?%$", "examples": ["5%"]}),
]


class HedgeSettings(Settings):
    """A second attempt on another backend, beside one that is late; the first good answer is the client's. Only before
    the first byte, and only of requests that leave nothing behind on a backend (`responses` may)."""

    after: After = OFF
    """How long a first byte may take: `p95`, the learned quantile for prompts of this size (also `p90`, `p99`), or a
    duration such as `300ms`. `hedge: p95` is short for this option alone."""
    budget: Annotated[Percent, Field(gt=0, le=0.5)] = 0.05
    """Hedges as a share of the requests of the class: what may be computed twice."""

    def rule(self) -> Hedge | None:
        """None: never."""
        if self.after == OFF:
            return None
        quantile = QUANTILES.get(self.after)
        if quantile is not None:
            return Hedge(quantile, 0.0, self.budget)
        return Hedge(0.0, float(parse_duration_s(self.after)), self.budget)


def by_delay(value: Any) -> Any:
    """`hedge: p95` means `hedge: {after: p95}`."""
    return {"after": value} if isinstance(value, str) else value
