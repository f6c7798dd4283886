"""`tidegate batch` against a running proxy: what is given, told, refused and written."""

import asyncio
import json
from pathlib import Path

import pytest

from proxy.cli.main import main
from tests.integration.test_batches_live import house, line, written


async def told(url: str, *words: str) -> int:
    return await asyncio.to_thread(main, ["batch", *words, "--url", url])


async def test_submit_wait_list_show_cancel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "asked.jsonl"
    file.write_bytes(written([line(number) for number in range(7)]))
    async with house(tmp_path) as live:
        url = live.proxy.listen_url
        assert await told(url, "submit", str(file), "--wait") == 0
        out = capsys.readouterr().out
        assert "7 of 7 done, 0 failed" in out
        name = out.partition(":")[0]
        rows = (tmp_path / "asked.output.jsonl").read_text().splitlines()
        assert [json.loads(row)["custom_id"] for row in rows] == [f"c{number}" for number in range(7)]
        assert await told(f"{url}/v1", "list") == 0
        assert name in capsys.readouterr().out
        assert await told(url, "show", name, "--json") == 0
        assert json.loads(capsys.readouterr().out)["status"] == "completed"
        assert await told(url, "cancel", name) == 1
        assert "cannot be cancelled" in capsys.readouterr().err


async def test_what_is_wrong_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad, mixed = tmp_path / "bad.jsonl", tmp_path / "mixed.jsonl"
    bad.write_text("hello\n")
    mixed.write_bytes(written([line(1), line(1)]))
    async with house(tmp_path) as live:
        url = live.proxy.listen_url
        assert await told(url, "submit", str(bad)) == 1
        assert "--endpoint says" in capsys.readouterr().err
        assert await told(url, "submit", str(mixed), "--wait") == 1
        assert "line 2: The custom_id 'c1'" in capsys.readouterr().out
        assert await told(url, "submit", str(tmp_path / "none.jsonl")) == 1
        assert "No such file" in capsys.readouterr().err
        assert await told(url, "show", "batch_none") == 1
        assert "batch_none" in capsys.readouterr().err
        assert await told(url, "list") == 0
    assert await told("http://127.0.0.1:1", "list") == 1
    assert "no proxy answers" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["submit"], ["show"], ["list", "x"], ["delete", "x"], []])
def test_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["batch", *words]) == 2
    assert capsys.readouterr().err
