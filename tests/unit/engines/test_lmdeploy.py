"""LMDeploy is recognised, and cannot be configured."""

from proxy.config.backend import BackendOptions
from proxy.engines.lmdeploy import LMDEPLOY
from proxy.engines.recognition import recognise


def test_it_is_recognised_and_not_promised() -> None:
    assert recognise({"data": [{"id": "m", "owned_by": "lmdeploy"}]}, "") == LMDEPLOY.kind
    assert LMDEPLOY.kind not in str(BackendOptions.model_json_schema()["properties"]["kind"])
