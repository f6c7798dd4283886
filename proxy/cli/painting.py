"""Lines with styles as the bytes of a terminal: its colours, or none, and its encoding."""

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.text import Text

from proxy.report.screen.drawn import in_ascii

_UTF8 = ("utf-8", "utf8")


def whole(lines: Sequence[Text], stream: TextIO) -> str:
    """Each with its end."""
    return "".join(f"{line}\n" for line in painted(lines, console_of(stream), stream.encoding))


def console_of(stream: TextIO) -> Console:
    """What it can show: colours or none, as NO_COLOR and TERM say."""
    return Console(file=stream, highlight=False, markup=False, emoji=False, width=80)


def painted(lines: Sequence[Text], console: Console, encoding: str | None) -> list[str]:
    """Without blanks at their ends; characters that the encoding lacks are replaced by some of the same width."""
    made = []
    for line in lines:
        shown = line.copy()
        shown.rstrip()
        with console.capture() as captured:
            console.print(shown, end="", no_wrap=True, overflow="ignore", crop=False)
        made.append(captured.get())
    known = (encoding or "ascii").lower().replace("_", "-")
    if known in _UTF8:
        return made
    return [in_ascii(line).encode(known, "replace").decode(known) for line in made]
