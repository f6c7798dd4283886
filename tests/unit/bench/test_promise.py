"""The SLO of a report: how it is written, and who keeps it."""

from dataclasses import replace

import pytest

from proxy.bench.promise import Promise, promise
from proxy.bench.rows import Row

ROW = Row("2026-01-01T00:00:00Z", "", "m", "", "s", 1, None, 10, 10, 100.0, 500.0, 40.0, success=True)


def test_how_it_is_written() -> None:
    assert promise("ttft=0.5s, tpot<=40ms,e2e<1m") == Promise(500.0, 40.0, 60_000.0)
    assert str(promise("ttft=500ms,e2e=2s")) == "TTFT ≤ 500 ms, E2E ≤ 2000 ms"
    assert not promise("").is_any


@pytest.mark.parametrize("text", ["ttft", "ttft=5", "tftt=5ms", "ttft=-5ms", "ttft=5ms,ttft=6ms", "ttft>5ms"])
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="ttft"):
        promise(text)


def test_who_keeps_it() -> None:
    wanted = promise("ttft=100ms,tpot=40ms,e2e=500ms")
    assert wanted.is_kept(ROW)
    assert not wanted.is_kept(replace(ROW, ttft_ms=100.1))
    assert not wanted.is_kept(replace(ROW, tpot_ms=41.0))
    assert not wanted.is_kept(replace(ROW, e2e_ms=501.0))
    assert not wanted.is_kept(replace(ROW, success=False))
    assert wanted.is_kept(replace(ROW, ttft_ms=None, tpot_ms=None))
