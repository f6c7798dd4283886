"""Kept answers and what is done to prompts before: named versions, stripped lines."""

from pathlib import Path
from typing import Any

import aiohttp

from tests.support.live_proxy import Answer, Live, SimEngine, running

ENGINES = (SimEngine("a"),)
OPTIONS = """
cache: {size: 16MiB}
prompts:
  - name: support
    versions: [{version: 3, file: three.md, weight: 1}, {version: 4, file: four.md, weight: 1}]
classes:
  - name: agents
    prompts: {strip: ['^Current time: .*$']}
"""


def body(**more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hi"}], "temperature": 0, "max_tokens": 2, "stream": False, **more}


def named(version: str, shop: str = "Acme") -> dict[str, Any]:
    return body(prompt={"id": "support", "version": version, "variables": {"shop": shop}})


def said(answer: Answer) -> str:
    assert answer.status == 200
    return answer.headers["x-tidegate-cache"]


async def bump(live: Live, query: str) -> None:
    async with aiohttp.ClientSession() as s, s.post(f"{live.proxy.admin_url}/cache/bump?{query}") as answer:
        assert answer.status == 200


async def test_each_version_and_each_value_of_a_named_prompt_is_kept_and_voided_for_itself(tmp_path: Path) -> None:
    for name in ("three.md", "four.md"):
        (tmp_path / name).write_text(f"You serve {{{{shop}}}} by {name}.")
    async with running(tmp_path, OPTIONS, ENGINES) as live:
        questions = [named("3"), named("4"), named("3", "Other")]
        assert [said(await live.ask(question)) for question in questions] == ["miss"] * 3
        assert [said(await live.ask(question)) for question in questions] == ["hit"] * 3
        await bump(live, "prompt=support@3")
        assert [said(await live.ask(question)) for question in questions] == ["miss", "hit", "miss"]
        await bump(live, "prompt=support")
        assert [said(await live.ask(question)) for question in questions] == ["miss"] * 3


async def test_a_line_that_is_stripped_is_in_no_key(tmp_path: Path) -> None:
    (tmp_path / "three.md").write_text("x {{shop}}")
    (tmp_path / "four.md").write_text("y {{shop}}")
    async with running(tmp_path, OPTIONS, ENGINES) as live:

        async def asked(minute: int) -> str:
            system = {"role": "system", "content": f"Current time: 10:{minute}\nBe brief."}
            question = body(messages=[system, {"role": "user", "content": "hi"}])
            return said(await live.ask(question, x_tidegate_class="agents"))

        assert [await asked(minute) for minute in (1, 2, 3)] == ["miss", "hit", "hit"]
