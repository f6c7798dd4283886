"""LMDeploy is recognised, and cannot be configured."""

from proxy.config.backend import BackendOptions
from proxy.engines.lmdeploy import LMDEPLOY
from proxy.engines.load import Reading
from proxy.engines.recognition import recognise


def test_its_load() -> None:
    text = b"lmdeploy:num_requests_running 5\nlmdeploy:num_requests_waiting 2\nlmdeploy:gpu_cache_usage_perc 0.5\n"
    (metrics,) = LMDEPLOY.loads
    assert metrics.read(text) == Reading(5, 2, 0.5)


def test_it_is_recognised_and_not_promised() -> None:
    assert recognise({"data": [{"id": "m", "owned_by": "lmdeploy"}]}, "") == LMDEPLOY.kind
    assert LMDEPLOY.kind not in str(BackendOptions.model_json_schema()["properties"]["kind"])
