"""Traps of vLLM, against what was captured of it."""

import json

import pytest

from proxy.engines.vllm import VLLM
from tests.engines_captures.reading import capture
from tests.unit.engines.traps.seeing import seen, showing

ASLEEP = capture("vllm/metrics_asleep").body
AWAKE = ASLEEP.replace(b'sleep_state="awake"} 0.0', b'sleep_state="awake"} 1.0')
MODELS = json.loads(capture("vllm/models").body)


def of(text: bytes, *lacking: str, version: str = "0.33.0") -> dict[str, str]:
    return seen(VLLM, showing({"/metrics": text}, *lacking, models=MODELS, version=version))


def test_an_engine_as_it_should_be() -> None:
    assert of(AWAKE, "/is_sleeping") == {}


def test_it_sleeps() -> None:
    assert list(of(ASLEEP)) == ["asleep"]


def test_no_metrics_and_development_routes() -> None:
    assert list(seen(VLLM, showing({"/is_sleeping": b'{"is_sleeping":false}'}))) == ["no-metrics", "dev-mode"]


def test_its_prefix_cache_is_off() -> None:
    assert b'enable_prefix_caching="True"' in AWAKE
    off = AWAKE.replace(b'enable_prefix_caching="True"', b'enable_prefix_caching="False"')
    assert "anew" in of(off)["prefix-cache-off"]


def metrics(**values: float) -> bytes:
    return b"".join(b'vllm:%b{engine="0"} %r\n' % (name.encode(), value) for name, value in values.items())


def test_requests_wait_while_its_memory_is_empty() -> None:
    crowd = metrics(num_requests_running=4.0, num_requests_waiting=9.0, kv_cache_usage_perc=0.07)
    assert of(crowd)["few-seats"] == "4 requests run and 9 wait, while 7% of its KV cache is in use"


@pytest.mark.parametrize(
    ("preempted", "finished", "is_told"), [(1.0, 100.0, True), (0.9, 100.0, False), (50.0, 99.0, False)]
)
def test_requests_that_lost_their_place(preempted: float, finished: float, is_told: bool) -> None:
    text = metrics(num_preemptions_total=preempted, request_success_total=finished)
    assert ("preempts" in of(text)) is is_told


@pytest.mark.parametrize(("fitting", "is_told"), [("1.99", True), ("2.0", False), ("None", False)])
def test_a_small_cache(fitting: str, is_told: bool) -> None:
    text = b'vllm:cache_config_info{kv_cache_max_concurrency="%b"} 1.0\n' % fitting.encode()
    assert ("small-cache" in of(text)) is is_told


def test_requests_that_it_refused() -> None:
    assert "14" in of(metrics(admission_rejections_total=14.0))["refuses"]
    assert "refuses" not in of(metrics(admission_rejections_total=0.0))


@pytest.mark.parametrize(
    ("version", "is_told"), [("0.8.5", True), ("0.9.0", False), ("1.0", False), ("", False), ("dev", False)]
)
def test_old_ones(version: str, is_told: bool) -> None:
    assert ("old" in of(AWAKE, version=version)) is is_told


def test_a_model_that_is_called_as_its_folder() -> None:
    sight = showing({"/metrics": AWAKE}, models={"data": [{"id": "/models/qwen"}]})
    assert "/models/qwen" in seen(VLLM, sight)["path-as-name"]
