"""Service level objectives: which share of a class's requests has to be good, over which window."""

from dataclasses import dataclass
from typing import Annotated, Final

from proxy.model.bounds import Bounds, Duration, Form
from proxy.model.classes import Promise

MAX_SLOS: Final = 32
MIN_WINDOW_S: Final = 3600.0
MAX_WINDOW_S: Final = 92 * 86_400.0
"""A quarter."""
MEASURES: Final = ("ttft", "tpot", "e2e")
"""What may have a threshold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLevelObjective:
    """A share of requests that has to be good over a rolling window."""

    name: Annotated[str, Bounds(pattern=r"^[A-Za-z0-9._-]{1,63}$")]
    """What metrics and alerts call it; unique."""
    class_: Annotated[str, Bounds(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
    """Traffic class whose requests it speaks of."""
    model: Annotated[str, Bounds(min_length=1, max_length=256)] | None = None
    """Only requests that ask for this model, by this name, or for none and get it. null: all of the class."""
    tenant: Annotated[str, Form.TENANT] | None = None
    """Only requests of this tenant, as metrics call it. null: everybody's."""
    objective: Annotated[float, Form.PERCENT]
    """Share of requests that are good, such as 99.5%. What is left of 100 % is the error budget."""
    window: Duration = 2_592_000.0
    """Rolling window, 1h to 92d. The alerts are those of the SRE workbook for 30d, if they look back no further."""
    ttft: Duration | None = None
    """Later first tokens are bad (streams). null: no threshold."""
    tpot: Duration | None = None
    """More time per token after the first, on average, is bad (streams). null: no threshold."""
    e2e: Duration | None = None
    """Whole answers that take longer are bad. null: no threshold."""

    @property
    def budget(self) -> float:
        """Share of requests that may be bad, above 0."""
        return round(1.0 - self.objective, 12)

    def promise(self) -> Promise:
        """Its thresholds, as a class would promise them: histograms have bounds there."""
        return Promise(self.ttft, self.tpot, self.e2e)

    @property
    def meaning(self) -> tuple[str, ...]:
        """What good is and of whom: counts of another meaning are no counts of this one."""
        return tuple(map(str, (self.class_, self.model, self.tenant, self.ttft, self.tpot, self.e2e)))
