"""From counts to what is said of an objective: attainment, what is left of its budget, how fast it burns, for how long.

Owns the windows and the pairs of the SRE workbook (chapter 5, multiwindow multi-burn-rate alerts), for the proxy's own
view and for the rules that Prometheus reads.
"""

from typing import Final, Literal, NamedTuple

from proxy.model.slos import ServiceLevelObjective
from proxy.obs.slo.buckets import Counts

WINDOWS_S: Final[dict[str, float]] = {
    "5m": 300.0,
    "30m": 1800.0,
    "1h": 3600.0,
    "2h": 7200.0,
    "6h": 21600.0,
    "1d": 86400.0,
    "3d": 259200.0,
}
EXHAUSTION_WINDOW: Final = "1h"
"""If it goes on as in the last hour, the budget lasts for so long."""
ROUNDING: Final = 1e-6
"""A burn of exactly 14.4 fires and one of exactly 1 does not, whatever the last digit of a division is."""
Severity = Literal["page", "ticket"]


class BurnAlert(NamedTuple):
    """Fires while the budget burns `factor` times as fast as it may, over both windows."""

    severity: Severity
    factor: float
    long: str
    short: str

    @property
    def threshold(self) -> float:
        """A burn rate above this is one of `factor`, or above 1 where that is the factor."""
        return self.factor * (1 - ROUNDING if self.factor > 1 else 1 + ROUNDING)


ALERTS: Final = (
    BurnAlert("page", 14.4, "1h", "5m"),
    BurnAlert("page", 6.0, "6h", "30m"),
    BurnAlert("ticket", 3.0, "1d", "2h"),
    BurnAlert("ticket", 1.0, "3d", "6h"),
)


def alerts_of(slo: ServiceLevelObjective) -> list[BurnAlert]:
    """Those that can fire: their windows are no longer than the objective's, and not even an outage burns less."""
    return [one for one in ALERTS if WINDOWS_S[one.long] <= slo.window and one.factor * slo.budget < 1]


def attainment(counts: Counts) -> float | None:
    """Share of good events; None: there were none."""
    good, total = counts
    return good / total if total else None


def burn_rate(counts: Counts, budget: float) -> float:
    """Share of bad events over the share that may be bad: 1 uses the budget up exactly at the end of its window."""
    good, total = counts
    return (total - good) / total / budget if total else 0.0


def budget_left(counts: Counts, budget: float) -> float:
    """1: all of it, 0: none, below: overspent."""
    return 1.0 - burn_rate(counts, budget)


def exhausted_in_s(left: float, burn: float, window_s: float) -> float | None:
    """Until nothing is left, at the earliest; None: never, at this rate."""
    if left <= 0:
        return 0.0
    return left * window_s / burn if burn > 0 else None


def firing(slo: ServiceLevelObjective, burns: dict[str, float]) -> Severity | None:
    """The gravest alert that these burn rates are reason for."""
    for one in alerts_of(slo):
        if min(burns[one.long], burns[one.short]) > one.threshold:
            return one.severity
    return None
