"""How many time series a configuration makes possible on /metrics, and whether those are too many.

Owns the estimate: every class on every backend, for one endpoint, every tenant with every model, everything seen within
the last minutes. Others count the same; a test compares it with what is written then.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.model.classes import ClassSettings, with_built_in
from proxy.model.histogram import SECONDS
from proxy.model.metrics import MetricsSettings
from proxy.model.slos import ServiceLevelObjective
from proxy.model.tenants import TenantSettings

_BUCKETS: Final = len(SECONDS) + 3
"""Lines of a histogram: bounds, infinity, count and sum."""
_OF_BOTH: Final = 5
"""Histograms by class and backend."""
_OF_ONE: Final = 3
"""Histograms by one of them."""
_OF_BACKEND: Final = 36
"""Single lines per backend."""
_OF_CLASS: Final = 14
_OF_POOL: Final = 12
_OF_USER: Final = 9
"""Lines per model and tenant."""
_OF_SLO: Final = 18
_RECENT: Final = 2 * 4 * 4
"""Lines of percentiles per value: windows, measures, three percentiles and their count."""
_OTHERS: Final = 300


def most_series(
    classes: Sequence[ClassSettings],
    backends: Collection[Any],
    routing: Any,
    entries: Sequence[TenantSettings],
    metrics: MetricsSettings,
    slos: Sequence[ServiceLevelObjective] = (),
) -> int:
    """For one endpoint, about; each further one that is asked adds what depends on classes and backends."""
    kinds, engines = len(with_built_in(tuple(classes))), len(backends)
    rows = kinds * engines
    tenants = min(metrics.tenants, len({entry.tenant for entry in entries})) + 2
    names = {*(entry.name for entry in routing.models), *(name for one in backends for name in _named(one))}
    models = min(metrics.models, len(names)) + 1
    pools = len({one.pool for one in backends})
    bounds = _BUCKETS * (rows * _OF_BOTH + (kinds + engines) * _OF_ONE) + rows * (2 * _promised(classes, slos) + 2)
    lines = engines * _OF_BACKEND + kinds * _OF_CLASS + pools * _OF_POOL + models * (tenants * _OF_USER + 1)
    return bounds + lines + _RECENT * (kinds + engines + models + 6) + len(slos) * _OF_SLO + _OTHERS


def series_findings(
    classes: Sequence[ClassSettings],
    backends: Collection[Any],
    routing: Any,
    entries: Sequence[TenantSettings],
    metrics: MetricsSettings,
    slos: Sequence[ServiceLevelObjective] = (),
) -> Iterator[Finding]:
    """A warning where there are too many."""
    most = most_series(classes, backends, routing, entries, metrics, slos)
    if metrics.requests and most > metrics.series:
        message = f"is less than the {most:,} that are possible with these classes, backends, models and tenants"
        hint = "raise it if Prometheus has room, or write metrics: {requests: false}"
        yield Finding(("metrics", "series"), message, hint, Severity.WARNING)


def _named(backend: Any) -> list[str]:
    return [*(backend.listed_models or ()), *backend.aliases]


def _promised(classes: Sequence[ClassSettings], slos: Sequence[ServiceLevelObjective]) -> int:
    """Bounds that are not there anyway."""
    promises = [entry.slo.promise() for entry in classes] + [slo.promise() for slo in slos]
    times = {time for one in promises for time in (one.ttft_s, one.tpot_s, one.e2e_s, one.deadline_s) if time}
    return len(times - set(SECONDS))
