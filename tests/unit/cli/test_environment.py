"""Variables that stand for options: behind the command line, before the file."""

import argparse

import pytest

from proxy.cli import environment
from proxy.cli.main import main
from proxy.cli.parser import build_parser

PLACES = {"--listen": "TIDEGATE_LISTEN", "--log-level": "TIDEGATE_LOG_LEVEL"}


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG", "LISTEN", "ADMIN", "LOG_LEVEL", "LOG_FORMAT"):
        monkeypatch.delenv(f"TIDEGATE_{name}", raising=False)


def parsed(*argv: str) -> argparse.Namespace:
    return build_parser("serve").parse_args(["serve", *argv])


def test_a_variable_stands_for_an_option_and_the_command_line_goes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_LISTEN", "0.0.0.0:80")
    monkeypatch.setenv("TIDEGATE_LOG_FORMAT", "json")
    monkeypatch.setenv("TIDEGATE_CONFIG", "a.yaml")
    told = parsed()
    assert (told.listen, told.log_format, told.targets) == ("0.0.0.0:80", "json", ["a.yaml"])
    told = parsed("b.yaml", "--listen", "h:1")
    assert (told.listen, told.targets) == ("h:1", ["b.yaml"])


def test_empty_is_as_if_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_LISTEN", "")
    monkeypatch.setenv("TIDEGATE_CONFIG", "")
    assert (parsed().listen, parsed().targets) == (None, [])


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("LISTEN", "8080", 'TIDEGATE_LISTEN: "8080" is not host:port'),
        ("LOG_LEVEL", "warn", 'TIDEGATE_LOG_LEVEL: "warn" is not one of'),
    ],
)
def test_a_wrong_value_names_its_variable(
    name: str, text: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"TIDEGATE_{name}", text)
    assert main(["serve", "f"]) == 2
    assert words in capsys.readouterr().err


def test_the_help_names_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    main(["serve", "--help"])
    text = capsys.readouterr().out
    assert all(f"[{name}]" in text for name in PLACES.values())


@pytest.mark.parametrize(("text", "value"), [("yes", True), ("1", True), ("off", False)])
def test_a_switch_is_a_word_for_yes_or_no(text: str, value: bool) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quiet", action="store_true", help="h")
    environment.offer(parser, {"TIDEGATE_QUIET": text})
    assert parser.parse_args([]).quiet is value


def test_a_switch_is_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quiet", action="store_true", help="h")
    with pytest.raises(SystemExit):
        environment.offer(parser, {"TIDEGATE_QUIET": "perhaps"})
    assert "TIDEGATE_QUIET: 'perhaps' is neither yes nor no" in capsys.readouterr().err
