"""Traps of LMDeploy, by what its source says it shows."""

from proxy.engines.lmdeploy import LMDEPLOY
from tests.unit.engines.traps.seeing import seen, showing


def test_metrics() -> None:
    assert list(seen(LMDEPLOY, showing({}, "/metrics"))) == ["no-metrics"]
    assert seen(LMDEPLOY, showing({"/metrics": b"lmdeploy:num_requests_running 1.0\n"})) == {}
