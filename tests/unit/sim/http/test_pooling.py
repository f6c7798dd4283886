"""A simulated engine whose calls for vectors take turns, and hold so many inputs at most."""

import asyncio
from time import monotonic

import pytest

from proxy.sim.engine.arrays import ArrayCost
from proxy.sim.engine.static import build_engine
from proxy.sim.http.driver import EngineDriver
from proxy.sim.http.pooling import Pooler
from proxy.sim.http.refusal import Refusal
from proxy.sim.http.request import RequestParser
from proxy.sim.http.settings import SimSettings

COST = ArrayCost(call_s=0.02, input_s=0.01, input_s2=0.0, cap=3)


def pooler(speed: float = 1.0) -> Pooler:
    settings = SimSettings(models=("m",), arrays=COST, speed=speed)
    return Pooler(settings, RequestParser(settings), EngineDriver(build_engine(settings.spec), speed))


async def test_calls_take_turns() -> None:
    made, start = pooler(), monotonic()
    await asyncio.gather(*(made.embeddings({"model": "m", "input": ["a", "b"]}, "r") for _ in range(3)))
    assert monotonic() - start >= 3 * COST.seconds(2) - 0.005


async def test_its_clock_is_the_engines() -> None:
    made, start = pooler(speed=100.0), monotonic()
    await asyncio.gather(*(made.score({"model": "m", "text_1": "a", "text_2": "b"}, "r") for _ in range(20)))
    assert monotonic() - start < 20 * COST.seconds(1)


async def test_more_inputs_than_it_takes_are_refused_in_its_own_words() -> None:
    with pytest.raises(Refusal) as refused:
        await pooler().embeddings({"model": "m", "input": ["a"] * 4}, "r")
    assert refused.value.status == 413
    assert refused.value.body["error"] == "batch size 4 > maximum allowed batch size 3"
