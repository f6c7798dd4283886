"""Where the YAML parser gave up, and what to say of it when nothing more is known: never in the parser's words."""

from typing import NamedTuple

from proxy.config.source import Position


class ConfigFault(NamedTuple):
    """Where the parser gave up, and in its words why."""

    position: Position
    problem: str
    opened: Position | None = None
    """Where that began which it was in: a quote, a bracket, a group."""
    context: str = ""


class Slip(NamedTuple):
    """What is wrong, in the words of who wrote it."""

    position: Position
    message: str
    hint: str = ""
    mended: str | None = None
    """The whole text without it; None: what was meant is not sure enough to go on."""


class Guess(NamedTuple):
    """One way to mend one line."""

    column: int
    message: str
    hint: str
    line: str
    goes_on: bool = True
    """What was meant is plain."""
    sure: bool = False
    """It is a slip even where the parser comes no further: another one follows."""


class Names(NamedTuple):
    """What options are called."""

    options: frozenset[str]
    groups: frozenset[str]
    """Those that have options below them."""


_WORDS = {
    "mapping values are not allowed in this context": (
        "a colon stands where no key can be",
        "check the indentation; a value that holds ': ' needs quotes",
    ),
    "did not find expected key": (
        "this does not go on what stands above",
        "check the indentation, and that every key ends in ':'",
    ),
    "did not find expected '-' indicator": ("this line is no entry of the list above", "check the indentation"),
    "could not find expected ':'": ("a colon is missing in this line", "write key: value"),
    "found character that cannot start any token": ("no value can begin like this", "put the value in quotes"),
    "did not find expected ',' or ']'": ("a comma or a ] is missing", "put commas between the entries, ] behind them"),
    "did not find expected ',' or '}'": ("a comma or a } is missing", "put commas between the entries, } behind them"),
    "did not find expected <document start>": ("this does not go on what stands above", "check the indentation"),
    "did not find expected node content": ("a value is missing here", "write it, or leave the comma out"),
    "found unknown escape character": ("a backslash means something else in double quotes", "use single quotes"),
    "did not find expected alphabetic or numeric character": ("a value is missing here", "put * and & in quotes"),
}


def is_template(lines: list[str], fault: ConfigFault) -> bool:
    """Whether the parser gave up on what a template fills in."""
    places = [place.line for place in (fault.position, fault.opened) if place is not None]
    return any("{{" in line or "{%" in line for n in places for line in lines[n - 1 : n])


def plain_words(text: str, fault: ConfigFault) -> Slip:
    """A fault of which nothing more is known."""
    lines = text.split("\n")
    line = lines[fault.position.line - 1] if fault.position.line <= len(lines) else ""
    if "\t" in line[: fault.position.column] and not line[: fault.position.column].strip():
        return Slip(fault.position, "a tab is used for indentation", "YAML indents with spaces only")
    if is_template(lines, fault):
        return Slip(fault.opened or fault.position, "this is a template, not YAML yet", "render it first")
    if fault.problem == "found unexpected end of stream" and fault.opened:
        return Slip(fault.opened, "the quote that opens here is not closed", "close it at the end of the value")
    if fault.problem == "could not find expected ':'" and fault.opened:
        return Slip(fault.opened, *_WORDS[fault.problem])
    message, hint = _WORDS.get(fault.problem, ("this is not YAML", "check quotes, brackets and indentation"))
    return Slip(fault.position, message, hint)
