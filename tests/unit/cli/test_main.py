"""From arguments to a subcommand and an exit code."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from proxy import __version__, build
from proxy.cli.commands import COMMANDS
from proxy.cli.main import main


def replaced(monkeypatch: pytest.MonkeyPatch, name: str, run: object) -> None:
    module = ModuleType(f"proxy.cli.{name}")
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, f"proxy.cli.{name}", module)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tidegate {__version__} ({build()})\n"


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "sim"])
def test_every_help_has_an_example_and_the_exit_codes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"example:\n  tidegate {command}" in text
    assert "exit codes:\n  0  " in text


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n    {name} " in text or f"\n    {name}\n" in text


def test_help_of_a_command_as_people_ask_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "health"]) == 0
    asked = capsys.readouterr().out
    assert main(["health", "--help"]) == 0
    assert asked == capsys.readouterr().out
    assert main(["help"]) == 0
    assert main(["help", "sevre"]) == 2
    assert 'did you mean "serve"?' in capsys.readouterr().err


def test_no_arguments_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "usage: tidegate" in captured.err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["chekc"], 'did you mean "check"?'),
        (["Serve"], 'did you mean "serve"?'),
        (
            ["xyzzy"],
            f"known: {', '.join(COMMANDS)}",
        ),
        (["serve"], "tidegate serve http://127.0.0.1:8001"),
        (["serve", "a", "b"], 'takes one file, or URLs; "b" is one word too many'),
        (["check"], "FILE"),
        (["check", "--format", "xml", "f"], "invalid choice"),
        (["check", "--stric", "f"], 'unknown option "--stric"; did you mean "--strict"?'),
        (["serve", "f", "--listen", "8080"], '"8080" is not host:port'),
        (["serve", "f", "--admin", "h:99999"], "port 99999 is not between"),
        (["serve", "f", "--log-level", "warn"], 'did you mean "warning"?'),
        (["serve", "f", "--log-format", "xml"], "is not one of text, json"),
        (["demo", "--listen", "x"], "is not host:port"),
        (["health", "nonsense"], "not a URL"),
        (["health", "ftp://h/"], "not a URL"),
        (["health", "http://h:99999/"], "not a URL"),
        (["health", "http://h/a b"], "not a URL"),
        (["--nonsense"], 'unknown option "--nonsense"; known: -h, --help, --version'),
    ],
)
def test_usage_errors(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert "Traceback" not in captured.err


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    replaced(monkeypatch, "schema", interrupted)
    assert main(["schema"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_left_is_quiet() -> None:
    script = "from proxy.cli.main import main; raise SystemExit(main(['schema']))"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 141
    assert errors == b""


def test_the_version_needs_none_of_the_heavy_modules() -> None:
    script = (
        "import sys; from proxy.cli.main import main; main(['--version']); main(['--help']);"
        "print([m for m in ('pydantic', 'yaml', 'aiohttp', 'asyncio', 'proxy.config') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_an_ascii_terminal_gets_escapes_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("version: 1\nbackends: [{url: http://a, name: ü, pool: '${X}'}]\n", encoding="utf-8")
    script = f"from proxy.cli.main import main; raise SystemExit(main(['check', {str(path)!r}]))"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        timeout=60,
        check=False,
        env={"PYTHONIOENCODING": "ascii"},
    )
    assert done.returncode == 1
    assert b"\\xfc" in done.stdout
    assert done.stderr == b""
