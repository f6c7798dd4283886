"""Named prompts are in an engine's cache before its first request: at the start, and after it was away."""

import asyncio
import base64
import json
from pathlib import Path
from time import monotonic
from typing import Any

from proxy.config.loader import load
from proxy.sim.http.server import SimServer
from proxy.sim.http.settings import SimSettings
from tests.support.live_proxy import Live, SimEngine, before, running
from tests.support.patience import eventually

RULES = "\n".join(f"Rule {number}: mind the {number * 7} spoons of drawer {number % 13}." for number in range(120))
OPTIONS = """
health: {probe_interval: 200ms}
prompts:
  - name: support
    versions: [{version: 1, file: support.md}, {version: 2, file: support.md, weight: 0}]
  - name: other
    versions: [{version: 1, file: support.md}]
warm: {prompts: [support]}
"""
ASKED = {
    "messages": [{"role": "user", "content": "hi"}],
    "prompt": {"id": "support", "variables": {"who": "Ann"}},
    "stream": False,
    "max_tokens": 2,
}


def folder(path: Path) -> Path:
    (path / "support.md").write_text(f"You serve {{{{who}}}}.\n\n{RULES}")
    return path


def chats(sim: SimServer) -> list[dict[str, Any]]:
    kept = [json.loads(base64.b64decode(str(one["body"]))) for one in sim.recorder.as_json() if one["method"] == "POST"]
    return [one for one in kept if "messages" in one]


async def share_found(live: Live) -> float:
    usage = json.loads((await live.ask(ASKED)).body)["usage"]
    return float(usage["prompt_tokens_details"]["cached_tokens"] / usage["prompt_tokens"])


async def test_the_first_request_finds_its_prompt(tmp_path: Path) -> None:
    async with running(folder(tmp_path), OPTIONS, (SimEngine("a"), SimEngine("b"))) as live:
        for sim in live.sims.values():
            (one,) = chats(sim)
            assert one["max_tokens"] == 1
        assert await share_found(live) > 0.9
        assert 'tidegate_prompts_warmed_total{backend="a",result="ok"} 1.0' in await live.metrics()


async def test_an_engine_that_comes_back_is_warmed_before_it_takes_traffic(tmp_path: Path) -> None:
    first = SimServer(SimSettings(models=("m",)))
    await first.start()
    port = int(first.url.rpartition(":")[2])
    entry = SimEngine("a").entry(first.url)
    async with before(folder(tmp_path), entry, OPTIONS) as live:
        await first.stop()
        held = asyncio.ensure_future(share_found(live))  # finds nobody, and waits for whoever comes
        scheduler = live.proxy._scheduler
        await asyncio.to_thread(eventually, lambda: scheduler.backends(monotonic())[0].state == "away", "it is away")
        second = SimServer(SimSettings(models=("m",), port=port))
        await second.start()
        try:
            assert await held > 0.9
            warm, asked = chats(second)
            assert (warm["max_tokens"], asked["max_tokens"]) == (1, 2)
        finally:
            await second.stop()


async def test_nobody_is_asked_where_nothing_says_so(tmp_path: Path) -> None:
    async with running(folder(tmp_path), OPTIONS.partition("warm")[0], (SimEngine("a"),)) as live:
        assert chats(live.sims["a"]) == []
        assert await share_found(live) < 0.1


def test_check_knows_the_prompts(tmp_path: Path) -> None:
    file = folder(tmp_path) / "routing.yaml"
    file.write_text(
        f"version: 1\nbackends: [{{url: 'http://127.0.0.1:1'}}]\n{OPTIONS.replace('[support]', '[suport, other]')}"
    )
    (one,) = [d for d in load(file, {}).diagnostics if d.severity == "error"]
    assert "warm.prompts[0]" in str(one)
    assert "support" in str(one)
