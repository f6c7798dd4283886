"""tidegate check and tidegate schema."""

import json
from pathlib import Path

import pytest

from proxy.cli.main import main
from proxy.config.json_schema import json_schema

RIGHT = "version: 1\nbackends:\n  - url: http://a\n"
WARNS = RIGHT + "  - url: http://a\n"
WRONG = RIGHT + "    wieght: 3\nlog: {level: loud}\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in (("right", RIGHT), ("warns", WARNS), ("wrong", WRONG)):
        (tmp_path / f"{name}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["right.yaml"], 0),
        (["warns.yaml"], 0),
        (["wrong.yaml"], 1),
        (["nowhere.yaml"], 1),
        (["right.yaml", "wrong.yaml"], 1),
        (["wrong.yaml", "right.yaml"], 1),
        (["--strict", "right.yaml"], 0),
        (["--strict", "warns.yaml"], 1),
        (["--strict", "right.yaml", "warns.yaml", "--format", "json"], 1),
    ],
)
def test_exit_codes(files: Path, argv: list[str], code: int) -> None:
    assert main(["check", *argv]) == code


def test_text(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "right.yaml", "warns.yaml", "wrong.yaml"])
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0].startswith("warns.yaml:4:10: warning: backends[1].url: ")
    assert "wrong.yaml:4:5: backends[0].wieght: unknown key" in lines
    assert [line.partition(" (up to ")[0] for line in lines[-3:]] == [
        "right.yaml: ok, 1 backend",
        "warns.yaml: ok, 2 backends, 1 warning",
        "wrong.yaml: 2 errors",
    ]
    assert lines[-2].endswith(" series of metrics for one endpoint)")
    assert "\x1b" not in captured.out


def test_json_is_one_array(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "--format", "json", "wrong.yaml", "right.yaml", "nowhere.yaml"])
    found = json.loads(capsys.readouterr().out)
    assert [(d["file"], d["line"], d["column"]) for d in found] == [
        ("wrong.yaml", 4, 5),
        ("wrong.yaml", 5, 14),
        ("nowhere.yaml", 1, 1),
    ]
    main(["check", "--format", "json", "right.yaml"])
    assert json.loads(capsys.readouterr().out) == []


def test_github(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", "--format", "github", "wrong.yaml", "warns.yaml"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("::error file=wrong.yaml,line=4,col=5::backends[0].wieght: unknown key")
    assert lines[2].startswith("::warning file=warns.yaml,line=4,col=10::")
    assert len(lines) == 3


def test_colour_on_a_terminal_only(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(["check", "wrong.yaml"])
    assert "\x1b[1;31m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    main(["check", "wrong.yaml"])
    assert "\x1b" not in capsys.readouterr().out


def test_references_come_from_the_environment(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "key.yaml").write_text(RIGHT + "    api_key: ${SOME_ENGINE_KEY}\n")
    monkeypatch.delenv("SOME_ENGINE_KEY", raising=False)
    assert main(["check", "key.yaml"]) == 1
    assert "SOME_ENGINE_KEY is not set" in capsys.readouterr().out
    monkeypatch.setenv("SOME_ENGINE_KEY", "open-sesame")
    assert main(["check", "key.yaml"]) == 0
    assert "sesame" not in capsys.readouterr().out


def test_what_check_finds_serve_refuses_in_the_same_words(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {
        "loop.yaml": "version: 1\nlisten: 0.0.0.0:8001\nbackends:\n  - url: http://127.0.0.1:8001\n",
        "ca.yaml": "version: 1\nbackends:\n  - url: https://a\n    tls: {ca_file: nowhere.pem}\n",
        "tokenizer.yaml": RIGHT + "tokenizers: {m: nowhere.json}\n",
        "slip.yaml": RIGHT + "    name:x\n    pool: y\n",
    }
    for name, text in wrong.items():
        (files / name).write_text(text)
        assert main(["check", name]) == 1
        checked = capsys.readouterr().out.splitlines()[:-1]
        assert main(["serve", name]) == 1
        assert capsys.readouterr().err.splitlines() == [*checked, f"tidegate: {name} is wrong; nothing was started"]


def test_without_the_environment_of_the_proxy(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SOME_ENGINE_KEY", raising=False)
    (files / "key.yaml").write_text(RIGHT + "    api_key: ${SOME_ENGINE_KEY}\n")
    assert main(["check", "key.yaml"]) == 1
    capsys.readouterr()
    assert main(["check", "--no-env", "--strict", "key.yaml"]) == 0
    out = capsys.readouterr().out
    assert "key.yaml:4:14: note: backends[0].api_key: " in out
    assert out.splitlines()[-1].startswith("key.yaml: ok, 1 backend, 1 note (up to ")
    main(["check", "--no-env", "--format", "github", "key.yaml"])
    assert capsys.readouterr().out.startswith("::notice file=key.yaml,line=4,col=14::")
    (files / "key.yaml").write_text(RIGHT + "    api_key: ${SOME ENGINE_KEY}\nloggg: {}\n")
    assert main(["check", "--no-env", "key.yaml"]) == 1
    assert "2 errors" in capsys.readouterr().out


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
