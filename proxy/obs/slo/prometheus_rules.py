"""Rules for Prometheus: error ratios, attainment and what is left of budgets, and the alerts of the SRE workbook.

Owns the names of what is recorded. They are computed of the counters, so that they hold for any number of proxies, and
say over each window what the proxy says of itself (`tidegate_slo_burn_rate`, `tidegate_slo_attainment_ratio`).
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import yaml

from proxy.model.slos import ServiceLevelObjective
from proxy.model.units import format_duration
from proxy.obs.slo.burn import ALERTS, ROUNDING, WINDOWS_S, BurnAlert, alerts_of

ERRORS: Final = "slo:tidegate_slo_errors:ratio_rate"
"""Share of bad events; the window follows."""
ATTAINMENT: Final = "slo:tidegate_slo_attainment:ratio"
BUDGET_LEFT: Final = "slo:tidegate_slo_error_budget_left:ratio"
OBJECTIVE: Final = "slo:tidegate_slo_objective:ratio"
ALERT: Final = "TidegateErrorBudgetBurn"
_HEAD: Final = f"""\
# Written by `tidegate slo rules`; write it again when the objectives change. Load it by rule_files of prometheus.yml.
#
# Burn rate: bad requests over those that may be bad. 1 uses the budget up exactly at the end of its window. An alert
# needs its rate over both of its windows: the long one says that it matters, the short one that it still goes on.
# The last factor of each threshold, 1 -/+ {ROUNDING:g}, is for rounding: exactly 14.4 fires, exactly 1 does not.
"""


def prometheus_rules(slos: Sequence[ServiceLevelObjective]) -> str:
    """A file of rules, a group for each objective."""
    groups = [{"name": f"tidegate-slo-{slo.name}", "rules": [*_recorded(slo), *_alerts(slo)]} for slo in slos]
    written = yaml.safe_dump({"groups": groups}, sort_keys=False, width=1000, allow_unicode=True)
    left_out = [line for slo in slos for line in _left_out(slo)]
    return "".join([_HEAD, *left_out, written])


def _recorded(slo: ServiceLevelObjective) -> Iterator[dict[str, Any]]:
    window = format_duration(slo.window)
    for name in dict.fromkeys([*WINDOWS_S, window]):
        yield {"record": f"{ERRORS}{name}", "expr": _error_ratio(slo, name), "labels": _labels(slo)}
    errors = f"{ERRORS}{window}{_of(slo)}"
    yield {"record": OBJECTIVE, "expr": f"vector({slo.objective:.10g})", "labels": _labels(slo)}
    yield {"record": ATTAINMENT, "expr": f"1 - {errors}", "labels": _labels(slo)}
    yield {"record": BUDGET_LEFT, "expr": f"1 - {errors} / {slo.budget:.10g}", "labels": _labels(slo)}


def _alerts(slo: ServiceLevelObjective) -> Iterator[dict[str, Any]]:
    for one in alerts_of(slo):
        burns = [f"{ERRORS}{name}{_of(slo)} > {_threshold(one, slo)}" for name in (one.long, one.short)]
        gone = min(one.factor * WINDOWS_S[one.long] / slo.window, 1)
        windows = {"long_window": one.long, "short_window": one.short}
        yield {
            "alert": ALERT,
            "expr": " and ".join(burns),
            "labels": {**_labels(slo), "severity": one.severity, **windows},
            "annotations": {
                "summary": f"SLO {slo.name}: the error budget burns {one.factor:g} times as fast as it may",
                "description": f"{{{{ $value | humanizePercentage }}}} of the requests were bad in the last {one.long};"
                f" {slo.budget * 100:.8g} % may be. At {one.factor:g} times that, {gone * 100:.2g} % of the budget of"
                f" {format_duration(slo.window)} is gone in {one.long}.",
            },
        }


def _error_ratio(slo: ServiceLevelObjective, window: str) -> str:
    bad, events = (f"sum(rate(tidegate_slo_{name}_total{_of(slo)}[{window}]))" for name in ("bad_events", "events"))
    return f"{bad} / {events}"


def _threshold(one: BurnAlert, slo: ServiceLevelObjective) -> str:
    rounding = 1 - ROUNDING if one.factor > 1 else 1 + ROUNDING
    return f"{one.factor:g} * {slo.budget:.10g} * {rounding:.10g}"


def _left_out(slo: ServiceLevelObjective) -> Iterator[str]:
    there = alerts_of(slo)
    if there != list(ALERTS):
        factors = ", ".join(f"{one.factor:g}" for one in there) or "no rate"
        yield f"# {slo.name}: alerts at {factors}; others look back further than its window, or could never fire.\n"


def _of(slo: ServiceLevelObjective) -> str:
    return f'{{slo="{slo.name}"}}'


def _labels(slo: ServiceLevelObjective) -> dict[str, str]:
    return {"slo": slo.name, "class": slo.class_}
