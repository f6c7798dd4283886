"""Named, versioned prompts over sockets: what the engine gets, what the client and the metrics are told."""

import json
import re
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.live_proxy import CHAT, Live, SimEngine, running

RULES = "\n".join(f"Rule {number}: mind the {number * 7} spoons of drawer {number % 13}." for number in range(120))
ENGINES = (SimEngine("a"),)
OPTIONS = """
prompts:
  - name: support
    versions:
      - {version: 3, file: three.md, weight: 90}
      - {version: 4, file: four.yaml, weight: 10}
  - name: brief
    history: 200
    versions: [{version: a, file: three.md}]
"""
USER = {"role": "user", "content": "Where is {{shop}}?"}


def files(folder: Path) -> Path:
    (folder / "three.md").write_text(f"You serve {{{{shop}}}}.\n\n{RULES}")
    (folder / "four.yaml").write_text(
        "system: 'Version four of {{shop}}.'\ntools: [{type: function, function: {name: t}}]"
    )
    return folder


def seen(live: Live) -> dict[str, Any]:
    return live.asked_of("a")


def body(**more: Any) -> dict[str, Any]:
    return {"messages": [USER], "stream": False, "max_tokens": 2, **more}


async def test_the_stable_part_comes_first_and_is_shared_between_values(tmp_path: Path) -> None:
    async with running(files(tmp_path), OPTIONS, ENGINES) as live:
        for shop in ("Acme", "{{shop}} & {{Sons}}"):
            asked = body(prompt={"id": "support", "version": "3", "variables": {"shop": shop}})
            answer = await live.ask(asked)
            assert answer.status == 200
            assert answer.headers["x-tidegate-prompt"] == "support@3"
            system = {"role": "system", "content": f"{RULES}\n\nYou serve {shop}."}
            assert seen(live) == {**CHAT, **body(), "messages": [system, USER]}
        usage = json.loads(answer.body)["usage"]
        assert usage["prompt_tokens_details"]["cached_tokens"] > 0.9 * usage["prompt_tokens"]
        told = await live.metrics()
        assert 'tidegate_prompt_requests_total{prompt="support",verdict="served",version="3"} 2.0' in told
        assert 'tidegate_prompt_assembly_seconds_count{prompt="support",version="3"} 2.0' in told
        assert re.search(r'tidegate_prompt_tokens_total{direction="cached",prompt="support",version="3"} [1-9]', told)
        assert "Acme" not in told


async def test_by_header_and_split_by_conversation(tmp_path: Path) -> None:
    async with running(files(tmp_path), OPTIONS, ENGINES) as live:
        asked = body(prompt={"variables": {"shop": "A"}})
        answer = await live.ask(asked, x_tidegate_prompt="support@4")
        assert answer.headers["x-tidegate-prompt"] == "support@4"
        assert seen(live)["tools"] == [{"type": "function", "function": {"name": "t"}}]
        assert seen(live)["messages"][0]["content"] == "Version four of A."
        drawn = {}
        for number in range(60):
            for _ in range(2):
                told = await live.ask(asked, x_tidegate_prompt="support", x_session_id=f"s{number}")
                version = told.headers["x-tidegate-prompt"]
                assert drawn.setdefault(number, version) == version
        assert 1 <= list(drawn.values()).count("support@4") <= 20


async def test_what_is_wrong_is_a_400_that_names_it(tmp_path: Path) -> None:
    async with running(files(tmp_path), OPTIONS, ENGINES) as live:
        for prompt, words in (
            ({"id": "support", "version": "3"}, "`shop`"),
            ({"id": "nobody"}, "`nobody`"),
            ({"id": "support", "version": "9"}, "`9`"),
            ({"id": "support", "variables": 7}, "prompt.variables"),
            ({"variables": {}}, "prompt.id"),
        ):
            answer = await live.ask(body(prompt=prompt))
            assert answer.status == 400
            assert words in answer.body.decode()
        assert not [one for one in live.sims["a"].recorder.as_json() if one.get("path") == "/v1/chat/completions"]
        status, told = await live.explain({**CHAT, **body(prompt={"id": "support", "variables": {"shop": "A"}})})
        assert status == 200
        assert told["prompt_tokens_estimated"] > len(RULES) / 4


async def test_a_long_conversation_is_cut_and_that_is_said(tmp_path: Path) -> None:
    async with running(files(tmp_path), OPTIONS, ENGINES) as live:
        talk = [
            {"role": ("user", "assistant")[number % 2], "content": f"{number} " + "w " * 100} for number in range(21)
        ]
        answer = await live.ask(body(messages=talk, prompt={"variables": {"shop": "A"}}), x_tidegate_prompt="brief")
        kept = seen(live)["messages"]
        assert kept[0]["role"] == "system"
        assert kept[1:] == talk[-len(kept) + 1 :]
        assert answer.headers["x-tidegate-history"] == f"cut={22 - len(kept)}; kept={len(kept)}"
        assert 'tidegate_prompt_messages_cut_total{class="interactive"}' in await live.metrics()


async def test_without_named_prompts_the_field_is_the_engines(tmp_path: Path) -> None:
    async with running(tmp_path, "", ENGINES) as live:
        answer = await live.ask(body(prompt={"id": "support"}), x_tidegate_prompt="support")
        assert answer.status == 200
        assert seen(live)["prompt"] == {"id": "support"}
        assert "x-tidegate-prompt" not in answer.headers


async def test_kept_answers_of_a_prompt_are_void_when_it_is_bumped(tmp_path: Path) -> None:
    async with running(files(tmp_path), OPTIONS + "cache: {size: 16MiB}\n", ENGINES) as live:
        asked = body(prompt={"id": "support", "version": "3", "variables": {"shop": "A"}}, temperature=0)
        other = body(messages=[{"role": "user", "content": "no prompt"}], temperature=0)

        async def said() -> list[str]:
            return [(await live.ask(one)).headers["x-tidegate-cache"] for one in (asked, other)]

        assert await said() == ["miss", "miss"]
        assert await said() == ["hit", "hit"]
        async with aiohttp.ClientSession() as session:
            bumped = await session.post(f"{live.proxy.admin_url}/cache/bump?prompt=support")
            assert bumped.status == 200
        assert await said() == ["miss", "hit"]
        told = (await live.ask({**asked, "prompt": {**asked["prompt"], "version": "4"}})).headers
        assert (told["x-tidegate-cache"], told["x-tidegate-prompt"]) == ("miss", "support@4")
