"""Slips of the pen that make a file no YAML: a space, a colon or a quote is missing, a tab, a line out of its column.

Owns the guessing of what was meant. A guess counts when the parser comes further with it, so that what is said is
right, and the rest of the file can be looked at too. Works on lines; echoes no value that may be a secret.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from proxy.config.faults import ConfigFault, Guess, Names, Slip, is_template, plain_words
from proxy.config.pasted import commas, comments, conflict, marks, prose
from proxy.config.source import MAX_LINE_CHARACTERS, Position, looks_secret

MAX_TEXT = 64 << 10
"""Longer texts are not guessed about: each guess costs a parse."""
_LINES_BACK = 3
_BLOCKS = frozenset({"did not find expected key", "did not find expected '-' indicator"})
_MAX_HINT = 100
_KEY = r"(?P<before>\s*(?:-\s+)*)(?P<key>[A-Za-z_][A-Za-z0-9_]*)"
_GLUED_COLON = re.compile(_KEY + r":(?P<value>[^\s:].*)", re.ASCII)
_GLUED_DASH = re.compile(r"(?P<before>\s*(?:-\s+)*)-(?P<rest>[A-Za-z_\"'{\[$].*)", re.ASCII)
_NO_COLON = re.compile(_KEY + r"(?P<between>\s*=\s*|\s+|$)(?P<value>.*)", re.ASCII)
_OPEN_QUOTE = re.compile(
    r"""(?P<before>(?:[^"'#]|"[^"]*"|'[^']*')*?(?:[:,\[{-]\s+|[\[{]|^\s*))(?P<quote>["'])(?P<rest>[^"']*)(?P<last>["']?)\s*"""
)
_COLON_INSIDE = re.compile(_KEY + r":\s+(?P<value>[^\s\"'\[{|>&*!%#].*?:(?:\s.*|$))", re.ASCII)
_REFERENCE = re.compile(r"(?<![\"'])\$\{[^}]*\}(?![\"'])")
_SPECIAL = re.compile(r"[*&!%@`|>][^\s,\]}]*")
_UNSEEN = "\u200b\u2060\ufeff"
_BLANKS = re.compile("[ \t\u00a0\u2000-\u200b\u202f\u2060\u3000\ufeff]*")


def find(text: str, fault: ConfigFault, names: Names, reach: Callable[[str], Position | None]) -> Slip:
    """What is most likely wrong. `names`: of options; `reach`: where the parser gives up on a text, None: nowhere."""
    lines = text.split("\n")
    if (merge := conflict(lines)) is not None:
        return merge
    if len(text) <= MAX_TEXT and not is_template(lines, fault):
        for number, guess, least in _guesses(lines, fault, names):
            mended = "\n".join([*lines[: number - 1], guess.line, *lines[number:]])
            if _comes_to(reach(mended), least):
                place = Position(number, guess.column)
                return Slip(place, guess.message, guess.hint, mended if guess.goes_on else None)
    return plain_words(text, fault)


def _further(position: Position) -> Position:
    """Where the parser must come to at least, if a guess is right: not just over what was put in."""
    return position._replace(column=position.column + 3)


def _comes_to(reached: Position | None, least: Position) -> bool:
    return reached is None or reached >= least


def _guesses(lines: list[str], fault: ConfigFault, names: Names) -> Iterator[tuple[int, Guess, Position]]:
    """Ways to mend one line of those that may hold the slip, the likeliest first; indentation last. With where the
    parser must come to if it is right."""
    suspects = [n for n in _suspects(lines, fault) if len(lines[n - 1]) <= MAX_LINE_CHARACTERS]
    within = [(n, guess) for n in suspects for guess in _within(lines[n - 1].rstrip("\r"), n, fault, names)]
    further = _further(fault.position)
    yield from ((number, guess, further) for number, guess in within)
    yield from ((number, guess, Position(fault.position.line, 1)) for number, guess in within if guess.sure)
    if "flow" not in fault.context:  # within brackets it means nothing
        yield from ((number, guess, further) for number in suspects for guess in _indentation(lines, number))


def _suspects(lines: list[str], fault: ConfigFault) -> list[int]:
    last = min(fault.position.line, len(lines))
    open_quote = next((n for n in range(1, last + 1) if _leaves_quote_open(lines[n - 1])), None)
    opened = fault.opened.line if fault.opened and fault.problem not in _BLOCKS else None
    above = [n for n in range(last - 1, 0, -1) if _says_something(lines[n - 1])]
    first = above[-1] if above and fault.problem == "did not find expected <document start>" else None
    found = [open_quote, opened, first, last, *above[:_LINES_BACK]]
    return list(dict.fromkeys(n for n in found if n is not None and n <= len(lines)))


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _leaves_quote_open(line: str) -> bool:
    match = _OPEN_QUOTE.fullmatch(line.rstrip("\r")) if len(line) <= MAX_LINE_CHARACTERS else None
    return match is not None and match["last"] != match["quote"]


def _within(line: str, number: int, fault: ConfigFault, names: Names) -> Iterator[Guess]:
    yield from _blanks(line)
    yield from marks(line)
    yield from comments(line)
    yield from _glued(line, names.options)
    yield from _colons(line, names.options)
    yield from _quotes(line)
    yield from _inner_quotes(line)
    yield from _specials(line, number, fault)
    yield from _brackets(line, number, fault)
    yield from commas(line, number, fault)
    yield from _inner_colons(line, names)
    if "flow" not in fault.context:
        yield from prose(line)


def _blanks(line: str) -> Iterator[Guess]:
    blank = _BLANKS.match(line)
    odd = next((c for c in (blank[0] if blank else "") if c != " "), None)
    for width in (2, 4, 8, 0):
        text = _spaced(line, width)
        if odd is not None and odd != "\t":
            looks = "cannot be seen" if odd in _UNSEEN else "only looks like a space"
            message = f"a character that {looks} (U+{ord(odd):04X}) is used for indentation"
            hint = "take it out" if odd in _UNSEEN else "write plain spaces"
            yield Guess(line.index(odd) + 1, message, hint, text, goes_on=False)
        elif odd is not None:
            hint = "YAML indents with spaces only"
            yield Guess(line.index(odd) + 1, "a tab is used for indentation", hint, text, goes_on=False)
    if match := re.match(r"\s*(?:- *)*-( *\t\s*)", line):
        text = line[: match.start(1)] + " " + line[match.end(1) :]
        yield Guess(line.index("\t") + 1, "a tab stands after the dash", "write a space", text)


def _spaced(line: str, width: int) -> str:
    blank = _BLANKS.match(line)
    end = blank.end() if blank else 0
    kept = (c for c in line[:end] if c not in _UNSEEN)
    return "".join(" " * width if c == "\t" else " " for c in kept) + line[end:]


def _glued(line: str, keys: frozenset[str]) -> Iterator[Guess]:
    if (match := _GLUED_COLON.match(line)) and match["key"] in keys:
        at = match.end("key") + 1
        hint = _written(match["key"], match["value"], line)
        yield Guess(at, "a space is missing after the colon", hint, f"{line[:at]} {line[at:]}", sure=True)
    if match := _GLUED_DASH.match(line):
        at = match.start("rest")
        hint = "write - and a space"
        yield Guess(at, "a space is missing after the dash", hint, f"{line[:at]} {line[at:]}")


def _colons(line: str, keys: frozenset[str]) -> Iterator[Guess]:
    match = _NO_COLON.match(line)
    if match and match["key"] in keys and not match["value"].startswith(":"):
        end, value = match.end("key"), match["value"]
        hint = _written(match["key"], value, line)
        message = (
            "a = stands where a colon belongs"
            if "=" in match["between"]
            else f"a colon is missing after {match['key']}"
        )
        yield Guess(end + 1, message, hint, f"{line[:end]}: {value}".rstrip(), sure="-" not in match["before"])


def in_scalar(value: object, keys: Iterable[str]) -> str:
    """What is missing in a text that should have been a key and a value; nothing where it looks like none."""
    match = re.match(_KEY + r"(?P<colon>:(?=[^\s:])|\s)", value, re.ASCII) if isinstance(value, str) else None
    if match is None or match["key"] not in keys or match["before"]:
        return ""
    return "a space is missing after the colon" if match["colon"] == ":" else f"a colon is missing after {match['key']}"


def _written(key: str, value: str, line: str) -> str:
    """How the line is right; without its value where that may be a secret."""
    whole = f"write {key}: {value.strip()}".rstrip()
    secret = looks_secret(line) or "@" in line or len(whole) > _MAX_HINT
    return f"write {key}: and the value after a space" if secret else whole


def _quotes(line: str) -> Iterator[Guess]:
    match = _OPEN_QUOTE.fullmatch(line)
    if match is None or match["last"] == match["quote"]:
        return
    quote, at = match["quote"], match.start("quote") + 1
    message = f"the quote ({quote}) that opens here is not closed"
    hint = f"close it with {quote} at the end of the value"
    rest = match["rest"].rstrip()
    for cut in (rest, rest.partition(" #")[0].rstrip(), rest.rstrip(",]} ")):
        yield Guess(at, message, hint, match["before"] + quote + cut + quote + rest[len(cut) :])
    yield Guess(at, message, "leave it out, or close it", match["before"] + rest)


def _inner_quotes(line: str) -> Iterator[Guess]:
    if match := re.fullmatch(r"(.*?[:,\[{-]\s+)'([^']+'[^'\",]+)'\s*", line):
        hint = "put the value in double quotes"
        at = match.start(2)
        yield Guess(at, "a ' inside of '…' ends the value", hint, f'{match[1]}"{match[2]}"')


def _specials(line: str, number: int, fault: ConfigFault) -> Iterator[Guess]:
    """What means something of its own to YAML where it stands without quotes."""
    for match in _REFERENCE.finditer(line):
        text = f'{line[: match.start()]}"{match[0]}"{line[match.end() :]}'
        shown = re.fullmatch(r"\$\{([A-Za-z_][A-Za-z0-9_]*|file:[^}]*)\}", match[0])
        hint = f'write "{match[0]}"' if shown else "put it in quotes"
        yield Guess(match.start() + 1, "a reference inside { } or [ ] needs quotes", hint, text)
    for place in (fault.position, fault.opened):
        special = _SPECIAL.match(line, place.column - 1) if place is not None and place.line == number else None
        if special is not None:
            text = f'{line[: special.start()]}"{special[0]}"{line[special.end() :]}'
            hint = "put the value in quotes" if len(special[0]) > 1 else f'write "{special[0]}"'
            yield Guess(special.start() + 1, f"a value that begins with {special[0][0]} needs quotes", hint, text)
    if fault.problem == "found unknown escape character" and fault.opened and fault.opened.line == number:
        text = re.sub(r'"([^"]*)"', r"'\1'", line)
        yield Guess(
            fault.position.column - 1, "a backslash means something else in double quotes", "use single quotes", text
        )


def _brackets(line: str, number: int, fault: ConfigFault) -> Iterator[Guess]:
    if fault.opened is None or fault.opened.line != number or "flow" not in fault.context:
        return
    bracket = "[" if "sequence" in fault.context else "{"
    closing, other = ("]", "}") if bracket == "[" else ("}", "]")
    end = len(line.partition(" #")[0].rstrip())
    message = f"the {bracket} that opens here is not closed"
    for at in (end, fault.position.column - 1):
        yield Guess(fault.opened.column, message, f"close it with {closing}", line[:at] + closing + line[at:])
    if line[end - 1 : end] in (other, ")", ">"):
        message = f"the {bracket} that opens here is closed by {line[end - 1]}"
        yield Guess(fault.opened.column, message, f"close it with {closing}", line[: end - 1] + closing + line[end:])


def _inner_colons(line: str, names: Names) -> Iterator[Guess]:
    if match := _COLON_INSIDE.fullmatch(line):
        value = match["value"].rstrip()
        at = match.start("value")
        if match["key"] in names.groups and value.partition(":")[0] in names.options:
            hint = f"begin a new line below {match['key']}:, indented"
            text = line[:at] + f"{{{value}}}"
            yield Guess(at + 1, "two keys stand in one line", hint, text, goes_on=False)
        text = f"{line[:at]}'{value}'"
        message, hint = "a value that holds a colon and a space needs quotes", "put the value in quotes"
        if value.endswith(":"):
            message, hint = (
                "a value that ends with a colon needs quotes",
                "take the colon away, or put it all in quotes",
            )
        yield Guess(at + 1, message, hint, text)


def _indentation(lines: list[str], number: int) -> Iterator[Guess]:
    line = lines[number - 1]
    indent = len(line) - len(line.lstrip(" "))
    levels = {column: n for n in range(1, number) for column in _levels(lines[n - 1])} | {0: 0}
    for level in sorted(levels, key=lambda column: (abs(column - indent), -column)):
        if level != indent:
            message = f"this line is indented by {_spaces(indent)}, which does not fit the others"
            hint = f"indent it by {_spaces(level)}, like line {levels[level]}" if level else "begin it at the very left"
            yield Guess(indent + 1, message, hint, " " * level + line.lstrip(" "), goes_on=False)


def _levels(line: str) -> list[int]:
    """The columns at which lines below may go on: of the line, and of what follows its dashes."""
    if not line.strip() or line.lstrip().startswith("#"):
        return []
    found = [len(line) - len(line.lstrip(" "))]
    if match := re.match(r"\s*(?:-\s+)+", line):
        found.append(match.end())
    return found


def _spaces(count: int) -> str:
    return "1 space" if count == 1 else f"{count} spaces"
