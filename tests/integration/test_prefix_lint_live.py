"""The prefix lint over sockets: on the admin port, in metrics, and in `tidegate prefix report`."""

import asyncio
import json
from pathlib import Path

import pytest

from proxy.cli.main import main
from tests.support.live_proxy import Live, SimEngine, running

RULES = "\n".join(f"Rule {number}: mind the {number * 7} spoons of drawer {number % 13}." for number in range(100))
ENGINES = (SimEngine("a"),)


async def asked(live: Live, count: int) -> None:
    for number in range(count):
        system = f"Ticket {number} of this secretive day\n{RULES}"
        messages = [{"role": "system", "content": system}, {"role": "user", "content": f"question {number}"}]
        answer = await live.ask({"messages": messages, "max_tokens": 1}, authorization="Bearer k")
        assert answer.status == 200


async def test_it_names_the_line_within_ten_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(tmp_path, "", ENGINES) as live:
        url = live.proxy.admin_url
        assert await asyncio.to_thread(main, ["prefix", "report", "--admin", url]) == 0
        assert "no prompt was seen to change" in capsys.readouterr().out
        await asked(live, 10)
        assert await asyncio.to_thread(main, ["prefix", "report", "--admin", url]) == 0
        said = capsys.readouterr().out
        assert ": the system prompt changes at byte 7 (counter): 0 % of " in said
        assert "line 1" in said
        assert await asyncio.to_thread(main, ["prefix", "report", "--admin", url, "--json"]) == 0
        (one,) = json.loads(capsys.readouterr().out)["findings"]
        assert one["saved"] > 0.9 * len(RULES) / 4
        told = await live.metrics()
        labels = 'kind="counter",part="the system prompt",prompt="#1",tenant="other"'
        assert f"tidegate_prefix_break_byte{{{labels}}} 7.0" in told
        assert "secretive" not in told + said


async def test_off_there_is_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(tmp_path, "routing: {prefix_lint: false}\n", ENGINES) as live:
        await asked(live, 4)
        assert "tidegate_prefix_break" not in await live.metrics()
        assert await asyncio.to_thread(main, ["prefix", "report", "--admin", live.proxy.admin_url]) == 0
        assert "(0 requests, 0 looked at)" in capsys.readouterr().out


def test_nobody_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prefix", "report", "--admin", "http://127.0.0.1:9"]) == 1
    assert main(["prefix", "report", str(tmp_path / "no.yaml")]) == 1
    assert main(["prefix", "show"]) == 2
    assert "no proxy answers" in capsys.readouterr().err
