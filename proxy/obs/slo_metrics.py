"""Service level objectives as metrics: counters that Prometheus computes with, and what the proxy itself says of them.

The counters begin at 0 with the process; the gauges are over windows, and outlive it.
"""

from collections.abc import Iterator, Sequence
from math import inf

from prometheus_client.metrics_core import Metric

from proxy.obs.families import counters, gauges
from proxy.obs.slo.book import SloStatus

_BY_SLO = ("slo",)


def slo_families(statuses: Sequence[SloStatus]) -> Iterator[Metric]:
    """None, where there is no objective."""
    if not statuses:
        return
    yield counters(
        "tidegate_slo_events",
        "Requests that count for a service level objective.",
        _BY_SLO,
        [((one.slo.name,), float(one.good + sum(one.bad.values()))) for one in statuses],
    )
    yield counters(
        "tidegate_slo_good_events",
        "Of those: served, and no threshold was missed.",
        _BY_SLO,
        [((one.slo.name,), float(one.good)) for one in statuses],
    )
    yield counters(
        "tidegate_slo_bad_events",
        "The others, by why: ttft, tpot, e2e (the first threshold that was missed), refused, failed.",
        ("slo", "reason"),
        [((one.slo.name, reason), float(count)) for one in statuses for reason, count in one.bad.items()],
    )
    yield gauges(
        "tidegate_slo_objective_ratio",
        "Share of events that has to be good.",
        _BY_SLO,
        [((one.slo.name,), round(one.slo.objective, 10)) for one in statuses],
    )
    yield gauges(
        "tidegate_slo_attainment_ratio",
        "Share of events that were good, over the objective's window; absent while there are none.",
        _BY_SLO,
        [((one.slo.name,), one.attainment) for one in statuses if one.attainment is not None],
    )
    yield gauges(
        "tidegate_slo_error_budget_left_ratio",
        "What is left of the error budget: 1 all of it, 0 nothing, below 0 overspent.",
        _BY_SLO,
        [((one.slo.name,), one.budget_left) for one in statuses],
    )
    yield gauges(
        "tidegate_slo_burn_rate",
        "Bad events over those that may be bad, in the last 5m to 3d: 1 uses the budget up exactly.",
        ("slo", "window"),
        [((one.slo.name, window), rate) for one in statuses for window, rate in one.burns.items()],
    )
    yield gauges(
        "tidegate_slo_exhausted_in_seconds",
        "Until the budget is used up if all goes on as in the last hour: at the earliest; +Inf: never.",
        _BY_SLO,
        [((one.slo.name,), inf if one.exhausted_in_s is None else one.exhausted_in_s) for one in statuses],
    )
