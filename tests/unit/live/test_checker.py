"""Checks in a process of their own: whatever they are given, they end, and the next one is made."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import orjson
import pytest

from proxy.live.checker import ANSWER_B, CHECK_S, MOST_WAITING, Checker
from proxy.model.structured import Verdict
from proxy.wire.structured import SPEC_B

ANY = b'{"any":true}'
SLOW_PATTERN = {"schema": {"pattern": "^(a+)+$"}}
SLOW_TEXT = "a" * 60 + "!"


def whole(text: str) -> bytes:
    return orjson.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})


@asynccontextmanager
async def checking() -> AsyncIterator[Checker]:
    made = Checker(monotonic)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def verdict(checker: Checker, form: Any, text: str) -> Verdict:
    spec = form if isinstance(form, bytes) else orjson.dumps(form)
    return (await checker.check(spec, whole(text))).verdict


async def valid_again(checker: Checker) -> None:
    """Another process is there, and a form that none died of is checked."""
    other = {"schema": {"type": "object"}}
    async with asyncio.timeout(20):
        while await verdict(checker, other, "{}") is not Verdict.VALID:
            await asyncio.sleep(0.05)


async def test_many_at_once_are_all_answered() -> None:
    async with checking() as checker:
        texts = ["{}", "no", "[]", '{"a":1}'] * 10
        found = await asyncio.gather(*(verdict(checker, ANY, text) for text in texts))
        assert found == [Verdict.VALID, Verdict.NOT_JSON, Verdict.MISMATCH, Verdict.VALID] * 10


async def test_a_pattern_that_never_ends_ends_and_is_not_tried_again() -> None:
    async with checking() as checker:
        lags: list[float] = []
        ticking = asyncio.ensure_future(ticks(lags))
        before = monotonic()
        assert await verdict(checker, SLOW_PATTERN, f'"{SLOW_TEXT}"') is Verdict.SLOW
        assert monotonic() - before < CHECK_S + 2.0
        ticking.cancel()
        assert len(lags) > 10, "the loop went on meanwhile"
        before = monotonic()
        assert await verdict(checker, SLOW_PATTERN, f'"{SLOW_TEXT}"') is Verdict.SLOW
        assert monotonic() - before < CHECK_S / 2
        await valid_again(checker)


async def ticks(lags: list[float]) -> None:
    while True:
        await asyncio.sleep(0.01)
        lags.append(monotonic())


UNLIKE = "[" + ",".join(f'{{"a":{number}}}' for number in range(20_000)) + "]"
DOUBLING = {f"d{number}": {"anyOf": [{"$ref": f"#/$defs/d{number + 1}"}] * 2} for number in range(60)}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"uniqueItems": True}, UNLIKE),
        ({"$ref": "#/$defs/d0", "$defs": {**DOUBLING, "d60": {"type": "null"}}}, "1"),
    ],
)
async def test_riddles_take_no_longer(schema: Any, text: str) -> None:
    async with checking() as checker:
        before = monotonic()
        await verdict(checker, {"schema": schema}, text)
        assert monotonic() - before < CHECK_S + 2.0
        await valid_again(checker)


async def test_what_is_too_large_is_not_looked_at() -> None:
    async with checking() as checker:
        assert (await checker.check(b" " * (SPEC_B + 1), b"")).verdict is Verdict.TOO_LARGE
        assert (await checker.check(ANY, b" " * (ANSWER_B + 1))).verdict is Verdict.TOO_LARGE
        most = b'{"schema":' + b" " * (SPEC_B - 16) + b"true}"
        assert (await checker.check(most, whole("1"))).verdict is Verdict.VALID


async def test_a_process_that_dies_is_started_again() -> None:
    async with checking() as checker:
        process = checker._process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        assert await verdict(checker, ANY, "{}") in (Verdict.FAILED, Verdict.BUSY)
        await valid_again(checker)


async def test_who_leaves_disturbs_nobody() -> None:
    async with checking() as checker:
        leaving = [asyncio.ensure_future(verdict(checker, ANY, "no")) for _ in range(5)]
        staying = [asyncio.ensure_future(verdict(checker, ANY, "{}")) for _ in range(5)]
        await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        assert await asyncio.gather(*staying) == [Verdict.VALID] * 5


async def test_only_so_many_wait() -> None:
    async with checking() as checker:
        slow = orjson.dumps(SLOW_PATTERN)
        first = asyncio.ensure_future(checker.check(slow, whole(f'"{SLOW_TEXT}"')))
        others = [asyncio.ensure_future(verdict(checker, ANY, "{}")) for _ in range(MOST_WAITING + 10)]
        found = await asyncio.gather(*others)
        assert found.count(Verdict.BUSY) >= 11
        assert (await first).verdict is Verdict.SLOW


async def test_nothing_is_left_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "secret")
    async with checking() as checker:
        process = checker._process
        assert process is not None
        environment = await asyncio.to_thread(_environment_of, process.pid)
        assert b"SOME_KEY" not in environment
        running = asyncio.ensure_future(checker.check(orjson.dumps(SLOW_PATTERN), whole(f'"{SLOW_TEXT}"')))
        await asyncio.sleep(0.05)
    assert process.returncode is not None
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (await checker.check(ANY, whole("{}"))).verdict is Verdict.BUSY


def _environment_of(pid: int) -> bytes:
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read()
