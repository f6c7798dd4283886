"""Lines that go as there is room: so many wait, batches take turns, engines that fail are asked again within a budget,
and a disk that is full pauses all of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from proxy.live.batches import database
from proxy.live.batches.batches import Batches
from proxy.live.lines.feeder import Feeder
from tests.integration.test_batches_live import begun, client, ended, house, line, rows
from tests.support.live_proxy import Live


def feeder_of(live: Live) -> Feeder:
    feeder = live.proxy._batches._feeder
    assert feeder is not None
    return feeder


def slow(count: int, **more: Any) -> list[dict[str, Any]]:
    return [line(number, body={**line(number)["body"], "max_tokens": 100, **more}) for number in range(count)]


async def test_few_wait_and_batches_take_turns(tmp_path: Path) -> None:
    async with house(tmp_path, options="seats: 2", ahead=3) as live, client(live, "a") as one, client(live, "b") as two:
        feeder = feeder_of(live)
        feeder.is_stopped = True
        first = [await begun(one, slow(60)) for _ in range(2)]
        second = await begun(two, slow(60))
        async with asyncio.timeout(30):
            while len(feeder.running) < 3:
                await asyncio.sleep(0.01)
        feeder.is_stopped = False
        seen = 0
        async with asyncio.timeout(60):
            while feeder.done < 90:
                waits = sum(out.exchange.waits for r in feeder.running.values() for out in r.out.values())
                assert waits <= 3
                seen = max(seen, waits)
                await asyncio.sleep(0.005)
        done = {running.batch.id: running.done for running in feeder.running.values()}
        assert seen > 0
        assert done.get(second.id, 60) > 0
        assert min(done.get(batch.id, 60) for batch in first) > 0
        for through, batch in ((one, first[0]), (one, first[1]), (two, second)):
            assert (await ended(through, batch)).status == "completed"


async def test_a_disk_that_is_full_pauses_and_fails_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.live.lines.feeder.FULL_S", 0.05)
    is_full, put = True, Batches.put

    def sometimes(self: Batches, number: int, results: Any) -> int:
        if is_full:
            raise database.StoreFullError("The disk of the store is full.")
        return put(self, number, results)

    monkeypatch.setattr(Batches, "put", sometimes)
    async with house(tmp_path, ahead=4) as live, client(live) as through:
        batch = await begun(through, slow(120))
        feeder = feeder_of(live)
        async with asyncio.timeout(30):
            while not feeder.is_full or feeder.running[1].out:
                await asyncio.sleep(0.02)
        held = len(feeder.running[1].unwritten)
        await asyncio.sleep(0.3)
        assert (len(feeder.running[1].unwritten), len(feeder.running[1].out)) == (held, 0), "nothing begins"
        assert 0 < held < 120
        assert (await through.batches.retrieve(batch.id)).status == "in_progress"
        is_full = False
        batch = await ended(through, batch)
        assert batch.status == "completed"
        assert len(await rows(through, batch.output_file_id)) == 120


async def test_an_engine_that_fails_is_asked_again_within_the_lines_budget(tmp_path: Path) -> None:
    async with house(tmp_path, "retries: {attempts: 1}\n", attempts=2) as live, client(live) as through:
        sim = live.sims["a"]
        body = line(1)["body"]
        batch = await begun(through, [line(1), line(2, body={**body, "messages": [{"role": "user", "content": ""}]})])
        assert (await ended(through, batch)).status == "completed"
        await sim.stop()
        lost = await begun(through, [line(7)])
        await asyncio.sleep(0.5)
        assert (await through.batches.retrieve(lost.id)).status in ("validating", "in_progress"), (
            "it waits for an engine"
        )
