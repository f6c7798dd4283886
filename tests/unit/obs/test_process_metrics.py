"""What the process is at one moment."""

from proxy.model.histogram import Histogram
from proxy.obs.exposition import Writer
from proxy.obs.process_metrics import Gauges, connection_families, edit_families, process_families


def text(now: Gauges) -> str:
    families = [*connection_families(now), *edit_families(now), *process_families(now)]
    return "".join(Writer().pieces(families, is_open=False))


def test_numbers_are_those_of_the_moment() -> None:
    lag = Histogram()
    lag.observe(0.004)
    told = text(
        Gauges(
            3,
            1,
            {"a": 2},
            {"access": 7},
            4096,
            tasks=12,
            loop_lag=lag,
            gpu_memory_b={"a": 80 << 30},
            config={"policy": "goodput", "config": "0123abcd"},
            memory_limit_b=1 << 30,
            certificate_ends=4e9,
        )
    )
    for line in (
        "tidegate_client_connections 3.0",
        "tidegate_refused_connections_total 1.0",
        'tidegate_upstream_connections{backend="a"} 2.0',
        'tidegate_log_lines_dropped_total{log="access"} 7.0',
        "tidegate_body_memory_bytes 4096.0",
        "tidegate_tasks 12.0",
        "tidegate_certificate_ends_timestamp_seconds 4e+09",
        "tidegate_memory_limit_bytes 1.073741824e+09",
        'tidegate_loop_lag_seconds_bucket{le="0.005"} 1',
        'tidegate_loop_lag_seconds_bucket{le="0.0025"} 0',
        'tidegate_backend_gpu_memory_bytes{backend="a"} 8.589934592e+10',
        'tidegate_config_info{config="0123abcd",policy="goodput"} 1.0',
    ):
        assert f"\n{line}\n" in told


def test_what_is_not_known_has_no_series() -> None:
    told = text(Gauges(0, 0, {}, {}))
    names = {line.partition("{")[0].partition(" ")[0] for line in told.splitlines() if not line.startswith("#")}
    assert "tidegate_config_info" not in names
    assert "tidegate_backend_gpu_memory_bytes" not in names
    assert "tidegate_loop_lag_seconds_count" not in names
    assert not {"tidegate_memory_limit_bytes", "tidegate_certificate_ends_timestamp_seconds"} & names
