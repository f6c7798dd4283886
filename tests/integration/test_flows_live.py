"""Answers that become slow, or stop, in the middle, seen by a running proxy before simulated engines."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from time import monotonic

from prometheus_client.parser import text_string_to_metric_families

from proxy.sim.engine.spec import PRESETS
from tests.support import live_proxy
from tests.support.live_proxy import Live, SimEngine

SPEC = replace(PRESETS["fast"], step_s=0.004)
ENGINES = (SimEngine("a", spec=SPEC), SimEngine("b", spec=SPEC))
WARM_UP = {"max_tokens": 12}
LONG = {"max_tokens": 4000, "ignore_eos": True}
SILENT_LIMIT_S = 60.0
"""The configured one."""


async def slowness(live: Live) -> dict[str, float]:
    families = text_string_to_metric_families(await live.metrics())
    found = next(family for family in families if family.name == "tidegate_backend_decode_slowness")
    return {sample.labels["backend"]: sample.value for sample in found.samples}


async def warm_up(live: Live) -> None:
    """Until it is known on both what is usual."""
    for _ in range(35):
        answers = await asyncio.gather(live.ask(WARM_UP), live.ask(WARM_UP))
        assert {answer.status for answer in answers} == {200}


async def test_an_engine_that_becomes_slow_in_the_middle_of_answers_loses_its_traffic(tmp_path: Path) -> None:
    async with live_proxy.running(tmp_path, "", ENGINES) as live:
        await warm_up(live)
        streams = [asyncio.create_task(live.ask(LONG)) for _ in range(6)]
        await asyncio.sleep(2.5)
        assert await slowness(live) == {"a": 1.0, "b": 1.0}
        await live.sims["a"].set_faults({"slower": 20})
        began = monotonic()
        while (told := await slowness(live))["a"] < 3.0:
            assert monotonic() - began < 15.0, told
            await asyncio.sleep(0.1)
        assert told["b"] == 1.0
        answers = [await live.ask(WARM_UP) for _ in range(20)]
        sent = Counter(answer.route["backend"] for answer in answers)
        assert sent["a"] <= 1, "one may explore"
        for stream in streams:
            stream.cancel()
        await asyncio.gather(*streams, return_exceptions=True)


async def test_a_stream_that_falls_silent_goes_on_elsewhere_in_seconds(tmp_path: Path) -> None:
    greedy = {"temperature": 0, "max_tokens": 60}
    resume = "classes:\n  - name: interactive\n    stream: {resume: true}\n"
    async with live_proxy.running(tmp_path, resume, ENGINES) as live:
        await warm_up(live)
        whole = _text((await live.ask(greedy)).body)
        await live.sims["a"].set_faults({"x-sim-stall-after": "9"})
        began = monotonic()
        answers = await asyncio.gather(*(live.ask(greedy) for _ in range(4)))
        assert monotonic() - began < SILENT_LIMIT_S / 3
        assert {answer.route["backend"] for answer in answers} == {"a", "b"}
        assert {_text(answer.body) for answer in answers} == {whole}
        healthy = live.proxy._scheduler.backends(monotonic())
        assert {view.state.value for view in healthy} == {"healthy"}


async def test_a_silent_stream_is_waited_for_when_nobody_can_go_on(tmp_path: Path) -> None:
    alone = "classes:\n  - name: interactive\n    stream: {resume: true}\nlimits: {upstream: {idle: 3s}}\n"
    async with live_proxy.running(tmp_path, alone, ENGINES[:1]) as live:
        await warm_up(live)
        await live.sims["a"].set_faults({"x-sim-stall-after": "9"})
        began = monotonic()
        answer = await live.ask({"temperature": 0, "max_tokens": 60})
        assert monotonic() - began >= 3.0
        assert b'"error"' in answer.body


def _text(body: bytes) -> str:
    events = [json.loads(line[6:]) for line in body.split(b"\n") if line.startswith(b"data: {")]
    assert body.rstrip().endswith(b"data: [DONE]"), body[-300:]
    return "".join(c["delta"].get("content") or "" for e in events for c in e.get("choices", []))
