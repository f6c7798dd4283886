"""Help that fits the terminal, and words that are no choice."""

import pytest

from proxy.cli.commands import COMMANDS
from proxy.cli.main import main

NARROW = 80


@pytest.mark.parametrize("command", [None, *COMMANDS])
@pytest.mark.parametrize("width", [NARROW, 120])
def test_help_fits_the_terminal(
    command: str | None, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    main(["--help"] if command is None else [command, "--help"])
    told = capsys.readouterr().out
    assert [line for line in told.splitlines() if len(line) > width] == []
    assert "exit codes:\n  " in told, "tables stay as they are"


def test_a_long_example_is_one_command_to_a_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(NARROW))
    main(["plan", "--help"])
    told = capsys.readouterr().out
    assert "--memory 24GiB \\\n      --utilization 0.9" in told


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["check", "--format", "jsn", "f"], 'did you mean "json"?'),
        (["key", "nwe"], 'did you mean "new"?'),
        (["slo", "ruels", "f"], 'did you mean "rules"?'),
        (["completion", "ksh"], "invalid choice: 'ksh'; did you mean"),
        (["check", "--format", "xml", "f"], "choose from text, json, github"),
    ],
)
def test_what_was_meant_by_a_word_that_is_no_choice(
    argv: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    assert words in capsys.readouterr().err
