"""Lines as the bytes of a terminal."""

import io

import pytest
from rich.text import Text

from proxy.cli.painting import console_of, painted, whole

LINE = Text.assemble(("▁▇", "red"), " ≤ [bold]x[/] :smile: 名   ")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_text_alone() -> None:
    assert painted([LINE], console_of(io.StringIO()), "utf-8") == ["▁▇ ≤ [bold]x[/] :smile: 名"]
    assert whole([LINE, LINE], io.StringIO()).count("\n") == 2


def test_a_terminal_gets_colours_unless_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert painted([LINE], console_of(Terminal()), "utf-8")[0].startswith("\x1b[31m▁▇\x1b[0m")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in painted([LINE], console_of(Terminal()), "utf-8")[0]


def test_an_encoding_that_lacks_a_character() -> None:
    (line,) = painted([LINE], console_of(io.StringIO()), "ascii")
    assert line == "_# < [bold]x[/] :smile: ?"
    assert painted([Text("ü")], console_of(io.StringIO()), "latin-1") == ["ü"]
