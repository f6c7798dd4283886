"""The estimate of series, against what is written when everything has been asked."""

import random
from typing import Any

import pytest

from proxy.config.schema import Config
from proxy.config.series import most_series, series_findings
from proxy.core.scheduler import Scheduler
from proxy.model.classes import with_built_in
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.obs.labels import Labels
from proxy.obs.metrics import Metrics
from proxy.obs.process_metrics import Gauges
from proxy.obs.slo.book import SloBook
from tests.unit.obs.records import meter, record, timeline


def config(classes: int, backends: int, tenants: int, **more: Any) -> Config:
    return Config(
        version=1,
        backends=[
            {"url": f"http://gpu{n}:8001", "pool": f"p{n % 3}", "models": [f"m{n % 5}"]} for n in range(backends)
        ],
        classes=[{"name": f"c{n}", "slo": {"ttft": f"{200 + n}ms", "e2e": "30s"}} for n in range(classes)],
        tenants=[{"tenant": f"{n:08x}"} for n in range(tenants)],
        **more,
    )


def written(told: Config) -> int:
    """Series of a proxy of which everybody has asked everything."""
    scheduler = Scheduler(
        told.specs(), retries=RetrySettings(), hold=HoldSettings(), health=HealthSettings(), rng=random.Random(1)
    )
    names = [backend.name for backend in told.backends]
    slos = SloBook(told.slos)
    metrics = Metrics(
        scheduler,
        lambda: Gauges(0, 0, dict.fromkeys(names, 1), {}, slos=slos.status(110.0)),
        lambda: 110.0,
        promises=[*(entry.slo.promise() for entry in told.classes), *(slo.promise() for slo in told.slos)],
        tenants=Labels([entry.tenant for entry in told.tenants], told.metrics.tenants),
    )
    tenants = ["", "ffffffff", *(entry.tenant for entry in told.tenants)]
    for backend in told.backends:
        for name in with_built_in(told.classes):
            for tenant in tenants:
                asked = record(
                    backend=backend.name,
                    traffic_class=name,
                    tenant=tenant,
                    model=backend.listed_models[0] if backend.listed_models else "m",
                    timeline=timeline(last_byte=101.9),
                    meter=meter(),
                )
                metrics.count(asked)
                slos.count(asked, 110.0)
    lines = "".join(metrics.pieces(is_open=False)).splitlines()
    return sum(not line.startswith("#") for line in lines)


@pytest.mark.parametrize(("classes", "backends", "tenants"), [(0, 1, 0), (3, 2, 5), (1, 24, 2), (8, 8, 12), (14, 3, 1)])
def test_the_estimate_is_near_and_not_below(classes: int, backends: int, tenants: int) -> None:
    told = config(classes, backends, tenants)
    most = most_series(told.classes, told.backends, told.routing, told.tenants, told.metrics)
    assert written(told) <= most <= 1.5 * written(told) + 200


def test_objectives_and_their_bounds_are_in_the_estimate() -> None:
    slos = [{"name": f"s{n}", "class": "interactive", "objective": "99%", "ttft": f"{123 + n}ms"} for n in range(32)]
    told = config(1, 2, 0, slos=slos)
    most = most_series(told.classes, told.backends, told.routing, told.tenants, told.metrics, told.slos)
    assert written(told) <= most <= 1.5 * written(told) + 200


def test_too_many_are_a_warning_at_the_option() -> None:
    told = config(8, 64, 0, metrics={"series": 10_000})
    (finding,) = series_findings(told.classes, told.backends, told.routing, told.tenants, told.metrics)
    assert finding.path == ("metrics", "series")
    assert "possible" in finding.message
    few = config(1, 2, 0, metrics={"series": 10_000})
    assert not list(series_findings(few.classes, few.backends, few.routing, few.tenants, few.metrics))


def test_where_nothing_is_counted_nothing_is_too_much() -> None:
    told = config(8, 64, 0, metrics={"series": 1, "requests": False})
    assert not list(series_findings(told.classes, told.backends, told.routing, told.tenants, told.metrics))


def test_a_large_fleet_is_within_the_default() -> None:
    told = config(6, 64, 10)
    assert not list(series_findings(told.classes, told.backends, told.routing, told.tenants, told.metrics))
