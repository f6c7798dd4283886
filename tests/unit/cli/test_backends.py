"""`tidegate backends`: its table, and who does not answer."""

from pathlib import Path
from typing import Any

import pytest

from proxy.cli.backends import as_text
from proxy.cli.main import main
from proxy.report.screen.words import ABSENT

ENGINE: dict[str, Any] = dict.fromkeys(
    ("kind", "version", "precision", "running", "waiting", "kv_usage", "scraped_s_ago"), None
) | {"unloaded": False}
UNKNOWN: dict[str, Any] = {
    "engine": ENGINE,
    "models": None,
    "state": "healthy",
    "leaving": False,
    "asleep": False,
    "paused_for_s": None,
    "in_flight": 0,
    "seats": None,
    "quota_requests_left": None,
    "quota_tokens_left": None,
    "kv_tokens": None,
    "kv_used_tokens": 0.0,
    "context_tokens": None,
    "ttft_samples": 0,
    "learned_prefill_tokens_per_s": 3000.0,
    "learned_tpot_s": 0.03,
}


def test_what_is_known() -> None:
    engine = {**ENGINE, "kind": "vllm", "version": "0.33.0", "precision": "fp8", "running": 3.0, "scraped_s_ago": 1.2}
    known = {**UNKNOWN, "models": ["a", "b", "c"], "seats": 4.0, "kv_tokens": 100.0, "kv_used_tokens": 25.0}
    known |= {"quota_requests_left": 12, "quota_tokens_left": 3400}
    header, row = as_text({"gpu1": {**known, "ttft_samples": 9, "engine": engine}}, 1000).splitlines()
    assert header.split()[:4] == ["backend", "engine", "version", "models"]
    cells = row.split("  ")
    found = [cell.strip() for cell in cells if cell.strip()]
    assert found == [
        *("gpu1", "vllm", "0.33.0", "a, b and 1 more", "healthy", "fp8", "0", "4", "12, 3,400 tok", "3"),
        *(ABSENT, "25.0 %", ABSENT),
        *("3,000", "30 ms", "1.20 s ago"),
    ]


def test_what_is_not_known_is_not_made_up() -> None:
    row = as_text({"a": UNKNOWN}, 1000).splitlines()[1]
    assert [cell.strip() for cell in row.split("  ") if cell.strip()][:4] == ["a", ABSENT, ABSENT, "not known yet"]
    assert "30 ms" not in row, "a prior is nothing that was learned"
    assert as_text({}, 80) == "the proxy has no backends"


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"asleep": True}, "asleep"),
        ({"paused_for_s": 2.0}, "paused"),
        ({"engine": {**ENGINE, "unloaded": True}}, "unloaded"),
        ({"leaving": True, "asleep": True}, "leaving"),
        ({"state": "away", "paused_for_s": 2.0}, "away"),
    ],
)
def test_its_state(fields: dict[str, Any], state: str) -> None:
    assert f"  {state}  " in as_text({"a": {**UNKNOWN, **fields}}, 1000)


def test_what_an_engine_says_cannot_move_the_cursor() -> None:
    engine = {**ENGINE, "kind": "vllm", "version": "\x1b[2J1.0", "running": "many"}
    row = as_text({"a": {**UNKNOWN, "models": ["m\x1b[31m"], "engine": engine}}, 1000).splitlines()[1]
    assert row.isprintable()
    assert "\ufffd[2J1.0" in row


def test_a_proxy_that_tells_less() -> None:
    assert as_text({"a": {"state": "healthy"}}, 1000).splitlines()[1].split()[:4] == ["a", ABSENT, ABSENT, "not"]


def test_nobody_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backends", "--admin", "http://127.0.0.1:9"]) == 1
    assert main(["backends", str(tmp_path / "no.yaml")]) == 1
    assert "no proxy answers" in capsys.readouterr().err
