"""What is in a file by mistake and no YAML: marks of a merge, Markdown, comments of other languages, commas of JSON.

Owns the guesses at these; whether one is right is the business of `slips`.
"""

import re
from collections.abc import Iterator, Sequence

from proxy.config.faults import ConfigFault, Guess, Slip
from proxy.config.source import Position

_CONFLICT = re.compile(r"(?:<{7}|={7}|>{7}|\|{7})(?: .*)?\r?")
_COMMENT = re.compile(r"(.*?)(//|/\*|<!--|;)(?=\s|$)")
_COMMENT_LINE = re.compile(r"(\s*)(--|%|!|rem|REM)(?=\s)")
_PROSE = re.compile(r"\s*(?P<text>[^\s\-\[\]{}\"'#:,=&*|>@`%!?][^:=\[\]{},\"']*)")
_MARKDOWN = re.compile(r"\s*(```|~~~)")
_JSON_LINE = re.compile(r"""\s*(?:-\s+)*(["']?)[\w.-]+\1\s*:\s+("[^"]*"|'[^']*'),\s*""")


def conflict(lines: Sequence[str]) -> Slip | None:
    """The first mark that a merge has left."""
    for number, line in enumerate(lines, 1):
        if _CONFLICT.fullmatch(line):
            hint = "keep one of the two sides, and take out the lines that begin with <<<<<<<, ======= and >>>>>>>"
            return Slip(Position(number, 1), "a merge conflict was left here", hint)
    return None


def comments(line: str) -> Iterator[Guess]:
    """Comments as others begin them."""
    match = _COMMENT_LINE.match(line) or _COMMENT.match(line)
    if match is not None:
        at = match.start(2)
        if not line[:at].strip() or line[at - 1].isspace():
            message = f"{match[2]} does not begin a comment"
            yield Guess(at + 1, message, "comments begin with #", line[:at] + "#" + line[at:])


def commas(line: str, number: int, fault: ConfigFault) -> Iterator[Guess]:
    """Commas that JSON wants and YAML does not, and the other way in brackets."""
    end = len(line.rstrip())
    if "flow" not in fault.context:
        if _JSON_LINE.fullmatch(line):
            message = "a comma stands at the end of this line, as in JSON"
            yield Guess(end, message, "take the comma away", line[: end - 1], sure=True)
    elif number < fault.position.line and line[end - 1 : end] not in ",[{:":
        message = "a comma is missing at the end of this line"
        yield Guess(end + 1, message, "put commas between the entries", f"{line[:end]},")


def marks(line: str) -> Iterator[Guess]:
    """What stands around YAML in other texts."""
    if match := _MARKDOWN.match(line):
        yield Guess(match.start(1) + 1, f"{match[1]} is Markdown, not YAML", "remove this line", "#" + line)
    elif line.rstrip() == "...":
        yield Guess(1, "... ends the document", "remove this line: one file holds one configuration", "#" + line)


def prose(line: str) -> Iterator[Guess]:
    """What is nothing that YAML knows."""
    if match := _PROSE.fullmatch(line):
        hint = "write key: value, or begin it with # if it is a comment"
        yield Guess(match.start("text") + 1, "this is neither an option nor a comment", hint, "#" + line)
