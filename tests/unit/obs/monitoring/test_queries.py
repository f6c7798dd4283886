"""PromQL of known metrics only, selected by the variables that a metric has labels for."""

import pytest

from proxy.obs.monitoring.queries import Queries, UnknownMetricError, drawn, metric, metrics

OF = Queries("instance", "class", "pool")


def test_variables_select_where_the_metric_has_the_label() -> None:
    assert OF.of("tidegate_held_jobs") == 'tidegate_held_jobs{instance=~"$instance"}'
    assert OF.of("tidegate_pool_utilisation") == 'tidegate_pool_utilisation{instance=~"$instance", pool=~"$pool"}'
    both = 'tidegate_slo_requests_total{instance=~"$instance", class=~"$class", result="kept"}'
    assert OF.of("tidegate_slo_requests_total", 'result="kept"') == both
    assert Queries().of("tidegate_held_jobs") == "tidegate_held_jobs"


def test_counters_gauges_and_histograms() -> None:
    plain = Queries()
    assert plain.rate("tidegate_retries_total") == "sum(rate(tidegate_retries_total[$__rate_interval]))"
    assert plain.count("tidegate_retries_total") == "sum(increase(tidegate_retries_total[$__range]))"
    assert plain.now("tidegate_pool_enforces", ("pool",), how="min") == "min by (pool) (tidegate_pool_enforces)"
    assert plain.quantile(0.95, "tidegate_ttft_seconds", ("class",), "[5m]") == (
        "histogram_quantile(0.95, sum by (le, class) (rate(tidegate_ttft_seconds_bucket[5m])))"
    )
    assert plain.mean("tidegate_ttft_seconds") == (
        "sum(rate(tidegate_ttft_seconds_sum[$__rate_interval])) / "
        "sum(rate(tidegate_ttft_seconds_count[$__rate_interval]))"
    )


@pytest.mark.parametrize(
    ("series", "by", "where"),
    [
        ("tidegate_no_such_thing", (), ""),
        ("tidegate_retries", (), ""),  # a counter without its ending
        ("tidegate_held_jobs_bucket", (), ""),
        ("tidegate_ttft_seconds", (), ""),  # a histogram without its part
        ("tidegate_held_jobs", ("pool",), ""),
        ("tidegate_held_jobs", (), 'pool="a"'),
        ("tidegate_requests_total", (), 'verdict="shed", tenant!~"x"'),
    ],
)
def test_what_the_proxy_does_not_have_is_refused(series: str, by: tuple[str, ...], where: str) -> None:
    with pytest.raises(UnknownMetricError):
        OF.now(series, by, where)


def test_what_an_expression_is_of() -> None:
    expression = f"{OF.quantile(0.5, 'tidegate_ttft_seconds')} / {OF.now('process_open_fds')}"
    assert [known.name for known in drawn(expression)] == ["tidegate_ttft_seconds", "process_open_fds"]
    assert metric("tidegate_ttft_seconds_count").kind == "histogram"
    assert metrics()["tidegate_ttft_seconds"].labels == {"endpoint", "class", "backend"}
