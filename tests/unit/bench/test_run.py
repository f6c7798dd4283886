"""A whole run: its folder, pairs with their A/A check, cold and warm, ended early and gone on with, a full disk."""

import asyncio
import errno
import io
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.bench.asks import Source
from proxy.bench.beginning import RunError
from proxy.bench.progress import Progress
from proxy.bench.rows import RowWriter
from proxy.bench.run import Bench, bench
from proxy.bench.run_file import Arrivals
from proxy.bench.run_folder import read_run
from proxy.bench.survey import survey
from proxy.bench.sweep import axis_of
from proxy.bench.target import TargetError
from proxy.bench.workloads.named import source_of
from tests.unit.bench.engines_made import CLOSED, asked, engine
from tests.unit.bench.test_options import options


async def done(tmp_path: Path, url: str, **changes: Any) -> str:
    """What was said."""
    stream = io.StringIO()
    fields = {"urls": {"url": url}, "loads": (CLOSED,), "requests": 8, "warmup": 1, "out": tmp_path / "out"} | changes
    with Progress(stream, 1) as progress:
        await bench(options(**fields), progress)
    return stream.getvalue()


async def test_a_run_says_all_that_its_numbers_hang_on(tmp_path: Path) -> None:
    two = (CLOSED, Arrivals(process="poisson", rate_per_s=200.0))
    async with engine() as server:
        await done(tmp_path, server.url, loads=two, seeds=(1, 2), argv=("bench", "--x"))
    run = read_run(tmp_path / "out")
    assert [cell.id for cell in run.file.cells] == [
        "seed=1,concurrency=3", "seed=1,rate=200", "seed=2,concurrency=3", "seed=2,rate=200",
    ]  # fmt: skip
    assert all((cell.complete, cell.done, cell.outcomes) == (True, 8, {"served": 8}) for cell in run.file.cells)
    first, same, other, _ = run.file.cells
    assert first.plan_digest == same.plan_digest != other.plan_digest
    assert run.file.complete
    assert run.file.tokens_sources == {"usage": 32}
    assert run.file.machine.cpu
    assert run.file.targets["url"].server == "vllm"
    assert run.file.started < run.file.ended
    assert len(run.requests) == 32
    assert all(one.row.success and one.row.output_tokens for one in run.requests)


async def test_a_trace_that_is_shorter_than_wanted_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"tidegate_trace": 1}\n{"at": 0, "prompt_tokens": 9, "output_tokens": 2}\n')
    async with engine() as server:
        said = await done(tmp_path, server.url, workload=("trace", str(path)), loads=(Arrivals(process="trace"),))
    run = read_run(tmp_path / "out")
    assert (run.file.cells[0].planned, len(run.requests), run.file.complete) == (1, 1, True)
    assert "note: trace t.jsonl holds 1 requests, less than 8" in said


async def test_cells_do_not_warm_each_other(tmp_path: Path) -> None:
    loads = (CLOSED, Arrivals(process="closed", concurrency=2))
    async with engine() as server:
        await done(tmp_path, server.url, loads=loads, warmup=0)
        prompts = [json.loads(body)["messages"][0]["content"] for body in asked(server)]
    assert len(set(prompts)) == len(prompts)
    run = read_run(tmp_path / "out")
    by_cell = [sorted(one.detail.digest for one in run.of_cell(cell.id)) for cell in run.file.cells]
    assert by_cell[0] == by_cell[1]


async def test_a_pair_and_its_check(tmp_path: Path) -> None:
    async with engine("a") as ours, engine("b") as theirs:
        urls = {"url": ours.url, "direct": theirs.url}
        await done(tmp_path, "", urls=urls, aa=10, names={"url": "x", "direct": "y"}, requests=12)
    run = read_run(tmp_path / "out")
    assert {one.row.server for one in run.requests} == {"x", "y"}
    mean = run.file.comparisons[0]
    assert (mean.statistic, mean.differences["e2e_ms"].n) == ("mean", 12)
    assert run.file.aa[0].differences["ttft_ms"].n == 10
    check = read_run(tmp_path / "out" / "aa")
    assert len(check.requests) == 20
    assert {one.row.server for one in check.requests} == {"x"}
    assert check.file.complete


async def test_cold_and_warm_are_runs_of_their_own(tmp_path: Path) -> None:
    async with engine() as server:
        await done(tmp_path, server.url, caches=("cold", "warm"), warmup=0)
        prompts = [json.loads(body)["messages"][0]["content"] for body in asked(server)]
    cold, warm = (read_run(tmp_path / "out" / state) for state in ("cold", "warm"))
    assert (cold.file.cache, warm.file.cache) == ("cold", "warm")
    assert cold.file.emptied_by == "unseen prefixes"
    assert cold.file.cells[0].salt
    assert sorted(one.detail.digest for one in cold.requests) == sorted(one.detail.digest for one in warm.requests)
    assert len(set(prompts[1:9])) == 8
    assert not set(prompts[1:9]) & set(prompts[9:])
    assert sorted(prompts[9:17]) == sorted(prompts[17:25])


async def test_models_are_swept_without_a_proxy_and_options_are_not(tmp_path: Path) -> None:
    async with engine(models=("a", "b")) as server:
        await done(tmp_path, server.url, axes=(axis_of("model=a,b"),))
        assert {one.row.model for one in read_run(tmp_path / "out").requests} == {"a", "b"}
        with pytest.raises(TargetError, match="needs its admin port"):
            await done(tmp_path, server.url, axes=(axis_of("window.max_wait=1,2"),), out=tmp_path / "other")


async def test_ended_early_and_gone_on_with(tmp_path: Path) -> None:
    async with engine(speed=0.02) as server:
        slow = options(urls={"url": server.url}, loads=(CLOSED,), requests=60, warmup=0, out=tmp_path / "out")
        source: Source = source_of(["short-chat"])
        one = Bench(slow, Progress(io.StringIO(), 1), source, await survey(slow, "chat"), None)
        running = asyncio.create_task(one.run())
        async with asyncio.timeout(60):
            while one.served < 4:
                await asyncio.sleep(0.05)
        one.interrupt()
        await running
    left = read_run(tmp_path / "out")
    count = len(left.requests)
    assert 4 <= count < 60
    assert not left.file.complete
    assert not left.file.cells[0].complete
    with pytest.raises(RunError, match="--resume goes on"):
        await done(tmp_path, server.url, requests=60)
    async with engine() as again:
        said = await done(tmp_path, again.url, requests=60, resume=True, warmup=0)
        assert len(asked(again)) == 61 - count
    whole = read_run(tmp_path / "out")
    assert f"{count} requests are there" in said
    assert sorted(one.detail.index for one in whole.requests) == list(range(60))
    assert whole.file.complete
    assert whole.file.resumed == 1


async def test_a_load_generator_that_hangs_is_ended_by_the_second_interrupt(tmp_path: Path) -> None:
    (tmp_path / "hanging.py").write_text(
        "import threading\ncalls = []\ndef build(question, stage):\n    calls.append(1)\n"
        "    if len(calls) > 1:\n        threading.Event().wait()\n    return [{'role': 'user', 'content': 'x'}]\n"
    )
    async with engine() as server:
        words = ("rag", "hanging:build")
        stuck = options(urls={"url": server.url}, loads=(CLOSED,), requests=6, warmup=0, out=tmp_path / "out",
                        workload=words)  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(tmp_path)
            one = Bench(stuck, Progress(io.StringIO(), 1), source_of(list(words)), await survey(stuck, "chat"), None)
            running = asyncio.create_task(one.run())
            async with asyncio.timeout(60):
                while not (tmp_path / "out" / "run.json").exists() or not one._child or not one._child._process:
                    await asyncio.sleep(0.05)
                one.interrupt()
                one.interrupt()
                (run,) = await running
    assert not run.complete
    assert read_run(tmp_path / "out").requests == []


async def test_a_full_disk_keeps_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = RowWriter.write
    count = 0

    def write(self: RowWriter, row: Any) -> None:
        nonlocal count
        count += 1
        if count > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        written(self, row)

    monkeypatch.setattr(RowWriter, "write", write)
    async with engine() as server:
        with pytest.raises(OSError, match="No space left"):
            await done(tmp_path, server.url)
    assert len(read_run(tmp_path / "out").requests) == 5


async def test_the_same_seed_again_is_noticed(tmp_path: Path) -> None:
    async with engine() as server:
        assert "sent the same prompts" not in await done(tmp_path, server.url, out=tmp_path / "one")
        assert "one sent the same prompts (seed 0)" in await done(tmp_path, server.url, out=tmp_path / "two")
        bodies = asked(server)
    assert sorted(bodies[1:10]) == sorted(bodies[11:20])
