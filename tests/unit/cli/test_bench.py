"""`tidegate bench`: exit codes, and what is said when it cannot begin."""

from pathlib import Path

import pytest

from proxy.cli.main import main

LOAD = ["--concurrency", "2", "--requests", "4"]


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *LOAD]) == 2
    assert main(["bench", "--url", "http://127.0.0.1:1", *LOAD, "--seed", "3,3"]) == 2
    said = capsys.readouterr().err
    assert "--url says what is measured" in said
    assert "seed 3 is there twice: it would be the same requests, not another sample" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing can be measured at http://127.0.0.1:1: connection refused"),
        (["--workload", "short-chats"], 'did you mean "short-chat"'),
        (["--workload", "trace", "nowhere.jsonl"], "nowhere.jsonl: No such file"),
    ],
)
def test_what_cannot_begin(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["bench", "--url", "http://127.0.0.1:1", *LOAD, "--out", str(out), *words]) == 1
    assert said in capsys.readouterr().err
    assert not out.exists()
