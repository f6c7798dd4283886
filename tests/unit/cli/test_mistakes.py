"""What was meant by a word that nobody knows."""

import pytest

from proxy.cli.commands import COMMANDS
from proxy.cli.main import main
from proxy.cli.mistakes import unknown_option
from proxy.cli.parser import options_of


def said(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    return captured.err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["serve", "--lisen", "h:1", "r.yaml"], '"--lisen"; did you mean "--listen"?'),
        (["serve", "r.yaml", "--lisen=h:1"], 'tidegate serve: unknown option "--lisen"; did you mean "--listen"?'),
        (["serve", "--log_level", "info", "r.yaml"], 'did you mean "--log-level"?'),
        (["serve", "r.yaml", "\u2014listen", "h:1"], 'did you mean "--listen"?'),
        (["serve", "r.yaml", "-listen", "h:1"], 'did you mean "--listen"?'),
        (["serve", "--port", "80", "r.yaml"], "write --listen HOST:PORT"),
        (["serve", "--config", "r.yaml"], "the file stands without an option"),
        (["serve", "--zzz"], "known: -h, --help, --listen, --admin, --auth, --workers, --log-level, --log-format"),
        (["plan", "--layer", "32"], 'did you mean "--layers"?'),
        (["init", "--forse"], 'did you mean "--force"?'),
        (["sim", "--sede", "-5"], 'did you mean "--seed"?'),
        (["check", "--fromat", "json", "f"], 'did you mean "--format"?'),
        (["--verison"], 'tidegate: unknown option "--verison"; did you mean "--version"?'),
        (["--listen", "h:1", "serve", "f"], "it stands behind the command: tidegate serve --listen"),
        (["srve", "--lisen"], 'unknown command "srve"; did you mean "serve"?'),
        (["intit"], 'did you mean "init"?'),
        (["exlpain", "a", "b"], 'did you mean "explain"?'),
    ],
)
def test_hints(argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in said(argv, capsys)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_known_and_found_with_a_letter_missing(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in options_of(command):
        assert unknown_option([command, option]) == 0
        if len(option) > len("--key"):
            assert f'did you mean "{option}"?' in said([command, option[:-2] + option[-1]], capsys)


@pytest.mark.parametrize(
    "argv",
    [
        ["sim", "--seed", "-5"],
        ["check", "-"],
        ["check", "--", "--odd-name"],
        ["explain", "f", "r", "--header", "--x y: z"],
        ["serve", "--listen=--lisen"],
        ["--help"],
        [],
    ],
)
def test_what_is_no_option_is_left_alone(argv: list[str]) -> None:
    assert unknown_option(argv) == 0
