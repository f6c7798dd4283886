"""Lines that change with each request are taken out before an engine sees the prompt, and nothing else is."""

import json
from pathlib import Path
from typing import Any

from tests.support.live_proxy import CHAT, Live, SimEngine, running

RULES = "\n".join(f"Rule {number}: mind the {number * 7} spoons of drawer {number % 13}." for number in range(120))
ENGINES = (SimEngine("a"),)
OPTIONS = """
classes:
  - name: agents
    prompts: {strip: [billing, '^Current time: .*$']}
"""


def body(number: int) -> dict[str, Any]:
    lines = f"x-anthropic-billing-header: cc_version=2; cch={number:05x};\nCurrent time: 10:{number:02}\n"
    messages = [{"role": "system", "content": lines + RULES}, {"role": "user", "content": f"Current time: {number}?"}]
    return {"messages": messages, "max_tokens": 2, "stream": False}


def seen(live: Live) -> dict[str, Any]:
    return live.asked_of("a")


def cached(answer: bytes) -> float:
    usage = json.loads(answer)["usage"]
    return float(usage["prompt_tokens_details"]["cached_tokens"] / usage["prompt_tokens"])


async def test_the_engine_gets_the_rest_as_it_came_and_its_cache_hits(tmp_path: Path) -> None:
    async with running(tmp_path, OPTIONS, ENGINES) as live:
        for number in range(3):
            answer = await live.ask(body(number), x_tidegate_class="agents")
            assert answer.status == 200
            wanted = {**CHAT, **body(number)}
            wanted["messages"] = [{"role": "system", "content": RULES}, body(number)["messages"][1]]
            assert seen(live) == wanted
        assert cached(answer.body) > 0.9
        assert 'tidegate_prompt_lines_stripped_total{class="agents"} 6.0' in await live.metrics()
        assert not live.proxy._lint.findings(), "what the lint sees is what the engine sees"
        told = (await live.explain({**CHAT, **body(9)}, x_tidegate_class="agents"))[1]
        assert told["prompt_tokens_estimated"] < (await live.explain({**CHAT, **body(9)}))[1]["prompt_tokens_estimated"]


async def test_other_classes_are_left_alone(tmp_path: Path) -> None:
    async with running(tmp_path, OPTIONS, ENGINES) as live:
        for number in range(3):
            answer = await live.ask(body(number))
            assert seen(live) == {**CHAT, **body(number)}
        assert cached(answer.body) < 0.1
        assert "tidegate_prompt_lines_stripped_total{" not in await live.metrics()
