"""Traps of TGI, by what its source says it shows."""

import json

import pytest

from proxy.engines.tgi import TGI
from tests.unit.engines.traps.seeing import seen, showing

GOOD = {"max_concurrent_requests": 128, "max_total_tokens": 4096, "version": "3.3.6"}


def of(**info: object) -> list[str]:
    return list(
        seen(TGI, showing({"/info": json.dumps({**GOOD, **info}).encode(), "/metrics": b""}, version="3.3.6 db9"))
    )


def test_an_engine_as_it_should_be() -> None:
    assert of() == ["only-maintained"]


@pytest.mark.parametrize(
    ("info", "trap"), [({"max_concurrent_requests": 7}, "few-seats"), ({"max_total_tokens": 4095}, "short-context")]
)
def test_what_info_tells(info: dict[str, object], trap: str) -> None:
    assert of(**info) == [trap, "only-maintained"]


def test_just_enough() -> None:
    assert of(max_concurrent_requests=8) == ["only-maintained"]
    assert list(seen(TGI, showing({}, "/metrics"))) == ["no-metrics"]
