"""The process that makes the load: what it tells, that it stops when it is told to, and what is said when it fails."""

import asyncio

import pytest

from proxy.bench.child import Child, ChildError
from proxy.bench.spec import Beat, Finished, Sample
from tests.unit.bench.engines_made import engine, spec


async def test_it_tells_what_it_measured() -> None:
    async with engine() as server:
        told = [one async for one in Child(spec(server.url, requests=6, warmup=1)).told()]
    samples = [one for one in told if isinstance(one, Sample)]
    assert sorted(one.detail.index for one in samples) == list(range(6))
    assert all(one.row.success for one in samples)
    assert isinstance(told[-1], Finished)
    assert told[-1].whole


async def test_it_stops_when_it_is_told_to() -> None:
    async with engine(speed=0.001) as server:
        child, told = Child(spec(server.url, requests=500)), []
        async for one in child.told():
            told.append(one)
            if isinstance(one, Beat) and one.open:
                child.stop()
    assert isinstance(told[-1], Finished)
    assert not told[-1].whole


async def test_told_to_stop_before_it_has_begun_it_does() -> None:
    async with engine(speed=0.001) as server, asyncio.timeout(60):
        child = Child(spec(server.url, requests=500))
        child.stop()
        told = [one async for one in child.told()]
    assert isinstance(told[-1], Finished)
    assert not told[-1].whole


async def test_what_is_said_when_it_fails() -> None:
    with pytest.raises(ChildError, match=r"the load generator failed: .*no workload is named 'nonsense'"):
        [one async for one in Child(spec("http://127.0.0.1:1", workload=["nonsense"])).told()]
