"""Which lines of a prompt an operator wants taken out: by a name or by an anchored pattern.

Owns what such a pattern may be: it begins with `^`, does not fit ordinary lines, and takes little time on any line,
since clients choose what it is matched with. Python's engine goes back and tries again, so that is a matter of how many
ways there are: of the repetitions without an end one alone, beside a last `.*` which is never tried again.
"""

import re
from typing import Final

MOST: Final = 256
"""Characters of a pattern."""
LOOKED_AT: Final = 256
"""Characters of a line that a pattern sees."""
_MOST_WAYS: Final = 32
"""Choices in a pattern, multiplied."""
_MOST_TIMES: Final = 64
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{1,63}", re.ASCII)
_KNOWN: Final = {"billing": "x-anthropic-billing-header"}
"""Short names of lines that are met in the wild."""
_TOKEN: Final = re.compile(
    r"(?P<quantifier>(?:[*+?]|\{[0-9]+(?:,[0-9]*)?\})[?+]?)|(?P<group>\((?:\?:)?)|(?P<close>\))|(?P<either>\|)"
    r"|(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])|(?P<any>.)",
    re.DOTALL,
)
_LAST: Final = (".*", ".*$")
_ORDINARY: Final = (
    "",
    "You are a helpful assistant.",
    "Answer in the language of the user, and say so when you do not know.",
    "# Tools",
    "## How to answer",
    "- be brief",
    "- no lists",
    "* one",
    "* two",
    "1. Read the file.",
    "2. Run the tests.",
    "    indented code = 1",
    "  more of it",
    "<rules>",
    "</rules>",
    '{"a": 1}',
    '{"b": 2}',
    "übersetze ins Deutsche",
    "请用中文回答",
    "Note: dates are in UTC",
    "Example: 2 + 2 = 4",
)
"""A pattern that fits two of these fits too much."""


def line_pattern(text: str) -> "re.Pattern[str]":
    """What fits the lines that `text` means, looked for at a line's start. ValueError that says what is wrong."""
    if _NAME.fullmatch(text):
        name = _KNOWN.get(text, text)
        return re.compile(rf"[ \t]{{0,8}}{re.escape(name)}[ \t]{{0,8}}[:=]", re.IGNORECASE)
    if len(text) > MOST:
        raise ValueError(f"is longer than {MOST} characters")
    if not text.startswith("^"):
        raise ValueError(
            "must be the name at a line's start, such as x-billing-header, or a pattern that begins with ^"
        )
    ways = _ways(text[1:])
    if ways > _MOST_WAYS:
        raise ValueError(f"could be matched in {ways} ways; {_MOST_WAYS} are the most: a client could make it slow")
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a pattern: {error.msg}") from None
    if sum(pattern.match(line) is not None for line in _ORDINARY) > 1 or pattern.match(""):
        raise ValueError("would take out ordinary lines too: write more of how the line begins")
    return pattern


def _ways(text: str) -> int:
    """In how many ways it can be tried, one repetition without an end not counted. ValueError for what is not taken."""
    for last in _LAST:
        if text.endswith(last) and not text.endswith("\\" + last):
            text = text[: -len(last)]
            break
    ways, endless, depth, before = 1, 0, 0, ""
    for token in _TOKEN.finditer(text):
        kind, word = token.lastgroup or "", token.group()
        if kind == "quantifier":
            if before in ("close", "quantifier", ""):
                raise ValueError("must not repeat a group: a client could make it slow")
            least, most = _times(word)
            ways *= most - least + 1 if most is not None else 1
            endless += most is None
        elif kind == "either":
            if not depth:
                raise ValueError("must put alternatives into a group, so that ^ holds for all of them: ^(a|b)")
            ways *= 2
        elif kind == "escape" and word[1].isdigit():
            raise ValueError("must not refer back to a group: a client could make it slow")
        depth += (kind == "group") - (kind == "close")
        if kind == "group" and text.startswith("?", token.end()):
            raise ValueError("must not look around, and have no flags or named groups")
        before = kind
    if endless > 1:
        raise ValueError("must have one repetition without an end (* or +) at most, beside a last .*")
    return ways


def _times(word: str) -> tuple[int, int | None]:
    """Least and most; None: without an end."""
    if word[0] == "?":
        return 0, 1
    if word[0] != "{":
        return 0, None
    least, comma, most = word[1 : word.index("}")].partition(",")
    if max(len(least), len(most)) > len(str(_MOST_TIMES)) or max(int(least), int(most or 0)) > _MOST_TIMES:
        raise ValueError(f"must not repeat more than {_MOST_TIMES} times")
    return int(least), (int(most) if most else None) if comma else int(least)
