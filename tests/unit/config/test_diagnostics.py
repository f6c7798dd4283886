"""How a diagnostic is shown."""

import json
from dataclasses import FrozenInstanceError, asdict

import pytest

from proxy.config.diagnostics import Diagnostic, Severity, has_errors, render

ERROR = Diagnostic(Severity.ERROR, "routing.yaml", 12, 5, "backends[1].wieght", "unknown key", "drop it", "    wi: 3")
WARNING = Diagnostic(Severity.WARNING, "r.yaml", 1, 1, "", "odd")


def test_text() -> None:
    assert render([ERROR], "text") == (
        "routing.yaml:12:5: backends[1].wieght: unknown key; drop it\n        wi: 3\n        ^\n"
    )
    assert render([WARNING], "text") == "r.yaml:1:1: warning: odd\n"
    assert render([], "text") == ""


def test_colour_only_when_asked_for() -> None:
    assert "\x1b[1;31munknown key\x1b[0m" in render([ERROR], "text", colour=True)
    assert "\x1b" not in render([ERROR, WARNING], "text")
    assert "\x1b" not in render([ERROR], "github", colour=True)


def test_the_caret_stands_under_the_column_of_a_long_line() -> None:
    line = "x" * 500 + "HERE" + "y" * 500
    text = render([Diagnostic(Severity.ERROR, "f", 1, 501, "", "m", "", line)], "text").splitlines()
    assert text[1][text[2].index("^") :].startswith("HERE")
    assert len(text[1]) < 200


def test_the_caret_follows_tabs() -> None:
    text = render([Diagnostic(Severity.ERROR, "f", 1, 3, "", "m", "", "\t\tx")], "text").splitlines()
    assert text[2] == "    \t\t^"


def test_a_terminal_gets_nothing_to_obey() -> None:
    nasty = Diagnostic(Severity.ERROR, "a\x1b[2J\nb", 1, 1, "p\x07", "m\r", "h\x9b", "s\x1b]0;x")
    text = render([nasty], "text")
    assert not set(text) & set("\x1b\x07\r\x9b")
    assert text.count("\n") == 3


def test_json_is_an_array_of_all_fields() -> None:
    assert json.loads(render([ERROR, WARNING], "json")) == [asdict(ERROR), asdict(WARNING)]
    assert json.loads(render([], "json")) == []


def test_github_is_escaped() -> None:
    nasty = Diagnostic(Severity.WARNING, "a,b:c%.yaml", 3, 4, "p", "50%\nof\r\n::error::it", "then")
    assert render([nasty], "github") == (
        "::warning file=a%2Cb%3Ac%25.yaml,line=3,col=4::p: 50%25%0Aof%0D%0A::error::it; then\n"
    )


def test_only_an_error_counts_as_one() -> None:
    assert has_errors([WARNING, ERROR])
    assert not has_errors([WARNING])


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        ERROR.line = 3  # type: ignore[misc]
