"""Message threads of Anthropic's API: each turn of one finds the engine that keeps it, and what nobody keeps is sent
anew by the official client itself."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pytest

from tests.support.agent_engine import CALLS_UNTIL, MODEL, Threaded
from tests.support.bed import Bed
from tests.support.live_proxy import Live, before

ASKED: dict[str, Any] = {"model": MODEL, "max_tokens": 64, "messages": [{"role": "user", "content": "Which file?"}]}
CALLS = 2 * CALLS_UNTIL


@asynccontextmanager
async def house(bed: Bed, tmp_path: Path, names: str = "ab") -> AsyncIterator[tuple[Live, list[Threaded]]]:
    """A proxy before engines of these names."""
    engines = [Threaded(name) for name in names]
    with ExitStack() as stack:
        urls = [stack.enter_context(bed.backend(engine)).url for engine in engines]
        entries = "".join(
            f"  - {{url: '{url}', name: {name}, models: [{MODEL}]}}\n" for name, url in zip(names, urls, strict=True)
        )
        async with before(tmp_path, entries) as live:
            yield live, engines


async def run_to_its_end(live: Live, *, stream: bool) -> list[str]:
    """What the calls of a whole conversation were given."""
    done: list[str] = []

    @anthropic.beta_async_tool
    async def Read(path: str, note: str) -> str:  # noqa: N802 - the tool's name
        """Reads a file."""
        done.append(path + note)
        return "read"

    @anthropic.beta_async_tool
    async def Grep(path: str, deep: list[Any]) -> str:  # noqa: N802 - the tool's name
        """Looks for something."""
        done.append(f"{path}{deep}")
        return "found"

    async with anthropic.AsyncAnthropic(base_url=live.proxy.listen_url, api_key="any", max_retries=0) as client:
        runner = client.beta.messages.tool_runner(**ASKED, tools=[Read, Grep], stream=stream)
        last = await runner.until_done()
        assert last.stop_reason == "end_turn"
    return done


@pytest.mark.parametrize("stream", [False, True])
async def test_every_turn_finds_the_engine_that_keeps_the_thread(bed: Bed, tmp_path: Path, stream: bool) -> None:
    async with house(bed, tmp_path) as (live, engines):
        for _ in range(4):
            assert len(await run_to_its_end(live, stream=stream)) == CALLS
        assert [engine.misses for engine in engines] == [[], []]
        assert sum(len(engine.kept) for engine in engines) == 4 * (CALLS_UNTIL + 1)


async def test_a_thread_that_nobody_keeps_is_told_as_its_client_reads_it(bed: Bed, tmp_path: Path) -> None:
    async with house(bed, tmp_path) as (live, engines):
        going_on = {**ASKED, "thread": {"type": "continue", "previous_message_id": "msg_none"}}
        answer = await live.send("POST", "/v1/messages", going_on)
        assert answer.status == 404
        assert b'"details":{"error_code":"thread_not_found"}' in answer.body
        assert [engine.misses for engine in engines] == [[], []], "no engine is asked"


async def test_the_only_engine_is_asked_for_what_is_older_than_the_proxy(bed: Bed, tmp_path: Path) -> None:
    async with house(bed, tmp_path, "a") as (live, engines):
        going_on = {**ASKED, "thread": {"type": "continue", "previous_message_id": "msg_old"}}
        assert (await live.send("POST", "/v1/messages", going_on)).status == 404
        assert engines[0].misses == ["msg_old"]


async def test_messages_without_a_thread_go_anywhere_and_are_not_remembered(bed: Bed, tmp_path: Path) -> None:
    async with house(bed, tmp_path) as (live, _):
        told = await live.send("POST", "/v1/messages", ASKED)
        assert told.status == 200
        going_on = {**ASKED, "thread": {"type": "continue", "previous_message_id": "msg_0"}}
        assert (await live.send("POST", "/v1/messages", going_on)).status == 404
