"""The load of a cell: order, pairs, sessions, ends; and that a seed makes the same requests in the same order."""

import asyncio
import json
from typing import Any

import pytest

from proxy.bench.lag import LagWatch
from proxy.bench.load import Load
from proxy.bench.player import Player
from proxy.bench.run_file import Arrivals
from proxy.bench.spec import Finished, LoadSpec
from proxy.bench.workloads.named import source_of
from tests.unit.bench.engines_made import Emitted, asked, engine, spec

POISSON = Arrivals(process="poisson", rate_per_s=400.0)


async def loaded(one: LoadSpec) -> tuple[Emitted, Finished]:
    taken, watch, source = Emitted(), LagWatch(), source_of(one.workload)
    player = Player(one, source.name, watch, taken.emit, None)
    try:
        return taken, await Load(one, source, player, watch).run()
    finally:
        player.close()


@pytest.mark.parametrize("arrivals", [Arrivals(process="closed", concurrency=1), POISSON])
async def test_two_runs_of_a_seed_send_the_same_bytes_in_the_same_order(arrivals: Arrivals) -> None:
    sent = []
    for _ in range(2):
        async with engine() as server:
            await loaded(spec(server.url, arrivals=arrivals, warmup=2, requests=12))
            sent.append(asked(server))
    if arrivals.process == "closed":
        assert sent[0] == sent[1]
    assert sorted(sent[0]) == sorted(sent[1])
    assert len(set(sent[0])) == 14


async def test_all_that_was_planned_is_measured_once() -> None:
    async with engine() as server:
        taken, finished = await loaded(spec(server.url, requests=25, warmup=4))
    assert sorted(one.detail.index for one in taken) == list(range(25))
    assert len({one.detail.digest for one in taken}) == 25
    assert (finished.whole, finished.warmup.requests, finished.warmup.failed) == (True, 4, 0)
    assert finished.client.events_per_s > 0


async def test_turns_wait_for_the_answers_before_them() -> None:
    async with engine() as server:
        taken, _ = await loaded(spec(server.url, workload=["multi-turn"], requests=3, timeout_s=30))
        bodies = [json.loads(body)["messages"] for body in asked(server)]
    by_index = sorted(taken, key=lambda one: one.detail.index)
    assert by_index[1].detail.sent_at > by_index[0].detail.intended_at + (by_index[0].row.e2e_ms or 0) / 1e3
    assert bodies[1][: len(bodies[0])] == bodies[0]


@pytest.mark.parametrize("arrivals", [Arrivals(process="closed", concurrency=2), POISSON])
async def test_pairs_go_to_both_in_turns(arrivals: Arrivals) -> None:
    async with engine("a") as ours, engine("b") as theirs:
        taken, _ = await loaded(spec(ours.url, theirs.url, arrivals=arrivals, requests=20))
        assert sorted(asked(ours)) == sorted(asked(theirs))
    by_number: dict[int, list[Any]] = {}
    for one in taken:
        by_number.setdefault(one.detail.index, []).append(one.detail)
    assert all({one.side for one in pair} == {"url", "direct"} for pair in by_number.values())
    assert all(len({one.digest for one in pair}) == 1 for pair in by_number.values())
    first = {number: min(pair, key=lambda one: one.sent_at).side for number, pair in by_number.items()}
    assert set(first.values()) == {"url", "direct"}


async def test_a_duration_ends_it() -> None:
    async with engine() as server:
        taken, finished = await loaded(spec(server.url, requests=None, duration_s=0.5))
    assert finished.whole
    assert taken
    starts = [one.detail.intended_at for one in taken]
    assert max(starts) - min(starts) <= 0.6


async def test_what_was_measured_before_is_not_measured_again() -> None:
    async with engine() as server:
        taken, finished = await loaded(spec(server.url, requests=9, done={"url": [0, 1, 2, 5]}))
    assert sorted(one.detail.index for one in taken) == [3, 4, 6, 7, 8]
    assert finished.whole


async def test_an_open_loop_that_is_gone_on_with_begins_at_once() -> None:
    slow = Arrivals(process="poisson", rate_per_s=2.0)
    async with engine() as server, asyncio.timeout(20):
        taken, _ = await loaded(spec(server.url, arrivals=slow, requests=41, done={"url": list(range(40))}))
    assert [one.detail.index for one in taken] == [40]


async def test_caches_are_filled_by_the_same_prompts() -> None:
    async with engine() as server:
        taken, finished = await loaded(spec(server.url, requests=5, fills_caches=True))
        bodies = asked(server)
    assert len(taken) == 5
    assert finished.warmup.requests == 5
    assert sorted(bodies[:5]) == sorted(bodies[5:])


async def test_an_open_loop_does_not_wait_for_answers() -> None:
    async with engine(speed=0.005) as server:  # its answers take ten times as long as all of the starts
        taken, _ = await loaded(spec(server.url, arrivals=POISSON, requests=10))
    intended = [one.detail.intended_at for one in taken]
    assert max(intended) - min(intended) < min(one.row.e2e_ms or 0 for one in taken) / 1e3
    assert max(one.row.concurrency or 0 for one in taken) == 10


async def test_a_trace_is_played_as_it_was_recorded_and_ends_with_it(tmp_path: Any) -> None:
    path = tmp_path / "t.jsonl"
    lines = [
        '{"tidegate_trace": 1}',
        *(f'{{"at": {n / 50}, "prompt_tokens": 9, "output_tokens": 2}}' for n in range(4)),
    ]
    path.write_text("\n".join(lines))
    async with engine() as server:
        one = spec(server.url, workload=["trace", str(path)], arrivals=Arrivals(process="trace", speed=1.0), requests=9)
        taken, finished = await loaded(one)
    assert len(taken) == 4
    assert finished.whole
    moments = sorted(one.detail.intended_at for one in taken)
    assert moments[-1] - moments[0] == pytest.approx(0.06, abs=0.002)


async def test_one_that_is_cut_short_says_how_far_it_came() -> None:
    async with engine(speed=0.001) as server:
        one, watch = spec(server.url), LagWatch()
        player = Player(one, "w", watch, Emitted().emit, None)
        load = Load(one, source_of(one.workload), player, watch)
        running = asyncio.create_task(load.run())
        while player.open < 3:
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert not load.cut_short().whole
        assert player.open == 0
        player.close()
        watch.stop()
