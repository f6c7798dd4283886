"""`tidegate bench quality`: two runs of one plan, or a paired one."""

import json
from pathlib import Path

import pytest

from proxy.bench import details
from proxy.bench.details import digest_of
from proxy.cli.main import main
from tests.support.bench_runs import made_up_run


def answering(folder: Path, texts: list[str]) -> str:
    """The run with these answers."""
    path = folder / details.FILE
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line, text in zip(lines, texts, strict=True):
        line |= {"text": text, "text_digest": digest_of(text.encode()), "text_chars": len(text)}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(folder)


def test_where_two_models_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [made_up_run(tmp_path / name, n=10, failing=0.0) for name in ("int8", "fp16")]
    same = ["the same"] * 9
    ours, other = answering(runs[0], [*same, "It is 42."]), answering(runs[1], [*same, "It is 41."])
    assert main(["bench", "quality", ours, other]) == 0
    out = capsys.readouterr().out
    assert "10 prompts answered by both" in out
    assert "the same to the last character: 90.0 % (95 %: 59.6 % to 98.2 %)" in out
    assert 'from character 7:\n  model      "2."\n  reference  "1."' in out
    assert main(["bench", "quality", ours, other, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["same"] == 9


def test_what_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(made_up_run(tmp_path / "a", n=10))
    assert main(["bench", "quality", run]) == 1
    assert "no prompt was answered by both" in capsys.readouterr().err
    assert main(["bench", "quality", run, run]) == 1
    assert "no text" in capsys.readouterr().err
    assert main(["bench", "quality", run, run, run]) == 1
    assert main(["bench", "quality", str(tmp_path / "absent")]) == 1
