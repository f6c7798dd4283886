"""Traps of SGLang, by what its source says it shows."""

import json

import pytest

from proxy.engines.sglang import SGLANG
from tests.unit.engines.traps.seeing import seen, showing

GOOD = {"enable_cache_report": True, "disable_radix_cache": False, "max_running_requests": None, "stream_interval": 1}


def of(route: str = "/server_info", **settings: object) -> dict[str, str]:
    told = json.dumps({**GOOD, **settings}).encode()
    return seen(SGLANG, showing({"/metrics": b"", route: told}, models={"data": [{"id": "m"}]}))


@pytest.mark.parametrize("route", ["/server_info", "/get_server_info"])
def test_an_engine_as_it_should_be(route: str) -> None:
    assert of(route) == {}


@pytest.mark.parametrize(
    ("settings", "trap"),
    [
        ({"enable_cache_report": False}, "cached-tokens-untold"),
        ({"disable_radix_cache": True}, "prefix-cache-off"),
        ({"max_running_requests": 7}, "few-seats"),
        ({"stream_interval": 8}, "coarse-streams"),
        ({"api_key": "sk-1"}, "tells-its-key"),
    ],
)
def test_settings(settings: dict[str, object], trap: str) -> None:
    assert list(of(**settings)) == list(of("/get_server_info", **settings)) == [trap]
    assert "sk-1" not in str(of(**settings))


def test_just_enough_seats() -> None:
    assert of(max_running_requests=8) == {}


def test_requests_wait_while_its_memory_is_empty() -> None:
    text = b"sglang:num_running_reqs 4.0\nsglang:num_queue_reqs 2.0\nsglang:token_usage 0.1\n"
    assert "few-seats" in seen(SGLANG, showing({"/metrics": text}))


def test_metrics_are_off() -> None:
    assert list(seen(SGLANG, showing({}, "/metrics"))) == ["no-metrics"]
    assert list(seen(SGLANG, showing({}, models={"data": [{"id": "/data/m"}]}))) == ["path-as-name"]
