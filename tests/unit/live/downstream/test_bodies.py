"""Large and packed bodies beside the loop: understood as small ones, within the budget, whoever leaves meanwhile."""

import asyncio
import gzip
import json
import threading

import pytest

from proxy.live.downstream import bodies as module
from proxy.live.downstream.bodies import INLINE_B, Bodies
from proxy.live.downstream.budget import Budget
from proxy.model.faults import FaultError, Kind
from proxy.model.limits import BodyLimits, Limits
from proxy.wire.headers import Head
from proxy.wire.routes import route
from tests.unit.wire.asking import JSON, head_of

TARGET = b"/v1/chat/completions"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream_options": {"include_usage": True}}
LARGE = json.dumps({**CHAT, "pad": "x" * (3 * INLINE_B), "stream": True}).encode()
PACKED = gzip.compress(LARGE)


def head(packed: bool) -> Head:
    return head_of(JSON, *([(b"Content-Encoding", b"gzip")] if packed else []), target=TARGET)


def made(budget: Budget, limits: Limits | None = None) -> Bodies:
    return Bodies(limits or Limits(), budget, asyncio.get_running_loop())


@pytest.mark.parametrize("packed", [False, True])
async def test_what_is_understood(packed: bool) -> None:
    budget = Budget(1 << 30)
    understood = await made(budget).understand(head(packed), route(TARGET), PACKED if packed else LARGE)
    assert understood.body == LARGE
    request = understood.request
    assert (request.model, request.stream, request.usage_asked, request.body_bytes) == ("m", True, True, len(LARGE))
    assert understood.fields["messages"] == CHAT["messages"]
    assert understood.charge_b == (2 * len(LARGE) if packed else 0)
    assert budget.free_b == budget.total_b - understood.charge_b


BROKEN = {
    "cut": PACKED[:-5],
    "lies about its size": PACKED[:-4] + b"\x01\0\0\0",
    "no gzip": b"x" * 100,
    "bytes behind it": PACKED + b"x",
    "no JSON": gzip.compress(LARGE[:-1]),
}


@pytest.mark.parametrize("what", BROKEN)
async def test_what_is_broken_gives_everything_back(what: str) -> None:
    budget = Budget(1 << 30)
    with pytest.raises(FaultError) as raised:
        await made(budget).understand(head(packed=True), route(TARGET), BROKEN[what])
    assert raised.value.fault.kind in (Kind.MALFORMED, Kind.INVALID)
    assert budget.free_b == budget.total_b


async def test_unpacked_too_large() -> None:
    budget = Budget(1 << 30)
    limits = Limits(body=BodyLimits(size=1 << 20))
    with pytest.raises(FaultError) as raised:
        await made(budget, limits).understand(head(packed=True), route(TARGET), PACKED)
    assert raised.value.fault.kind is Kind.BODY_TOO_LARGE
    assert budget.free_b == budget.total_b


async def test_a_spent_budget_is_asked_before_anything_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.bodies, "decode", None)
    budget = Budget(1 << 30)
    budget.take(budget.total_b - 2 * len(LARGE) + 1)
    with pytest.raises(FaultError) as raised:
        await made(budget).understand(head(packed=True), route(TARGET), PACKED)
    assert raised.value.fault.kind is Kind.MEMORY


async def test_one_after_the_other_and_what_is_cancelled_holds_its_bytes_until_the_thread_lets_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    budget = Budget(1 << 30)
    entered, go_on, running = threading.Event(), threading.Event(), []
    original = module.bodies.decode

    def slow(*args: object) -> bytes:
        running.append(threading.current_thread().name)
        entered.set()
        go_on.wait(5.0)
        return original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(module.bodies, "decode", slow)
    reader = made(budget)
    tasks = [asyncio.ensure_future(reader.understand(head(packed=True), route(TARGET), PACKED)) for _ in range(3)]
    await asyncio.to_thread(entered.wait, 5.0)
    assert len(running) == 1
    tasks[0].cancel()
    tasks[2].cancel()
    await asyncio.sleep(0.01)
    assert (tasks[0].done(), tasks[2].done()) == (False, True)
    assert budget.free_b < budget.total_b
    go_on.set()
    understood = await tasks[1]
    assert tasks[0].cancelled()
    assert budget.total_b - budget.free_b == understood.charge_b
    assert len(running) == 2
    reader.close()
