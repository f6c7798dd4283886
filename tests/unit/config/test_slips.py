"""Slips of the pen: told where they are, in the words of who made them, and with what makes the file readable."""

# ruff: noqa: E501 - one slip per line reads as a table

from pathlib import Path

import pytest

from proxy.config.faults import Names
from proxy.config.loader import load_text
from proxy.config.mending import MAX_SLIPS, understand
from proxy.config.options import all_options
from proxy.config.schema import Config
from proxy.config.secrets import SecretSource
from proxy.config.slips import MAX_TEXT
from proxy.config.source import MAX_LINE_CHARACTERS

KEYS = Names(
    frozenset(option.path[-1] for option in all_options(Config)),
    frozenset(option.path[-1] for option in all_options(Config) if option.group),
)
HEAD = "version: 1\nbackends:\n  - url: http://a\n"
PARSERS_WORDS = ("mapping values", "block", "flow", "scalar", "token", "simple key", "stream", "node", "indicator")


def told(text: str) -> list[str]:
    found = load_text(text, "f", SecretSource({"K": "k"}, Path("/nowhere")))
    return [f"{d.line}:{d.column}: {d.path}{': ' if d.path else ''}{d.message}; {d.hint}" for d in found.diagnostics]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # a space is missing
        ("version: 1\nbackends:\n  - url:http://a\n    name: x\n", "3:8: a space is missing after the colon; write url: http://a"),
        ("version: 1\nbackends:\n  - url:http://a\n", "3:5: backends[0]: a space is missing after the colon; write url: http://a"),
        ("version: 1\nlisten:127.0.0.1:8080\nbackends:\n  - url: http://a\n", "2:7: a space is missing after the colon; write listen: 127.0.0.1:8080"),
        ("version:1\nbackends:\n  - url: http://a\n", "1:8: a space is missing after the colon; write version: 1"),
        (HEAD + "    name:x\n    pool: y\n", "4:9: a space is missing after the colon; write name: x"),
        (HEAD + "    name:x\n", "4:9: a space is missing after the colon; write name: x"),
        (HEAD + "    models:\n    - a\n    -b\n", "6:5: a space is missing after the dash; write - and a space"),
        ("version: 1\nbackends:\n  -url: http://a\n", "2:1: backends: must be a list; write a space after the dash"),
        # a colon is missing
        ("version: 1\nbackends\n  - url: http://a\n", "2:9: a colon is missing after backends; write backends:"),
        (HEAD + "listen 127.0.0.1:8080\nlog: {level: info}\n", "4:7: a colon is missing after listen; write listen: 127.0.0.1:8080"),
        (HEAD + "    name x\n    pool: y\n", "4:9: a colon is missing after name; write name: x"),
        ("version: 1\nbackends:\n  - url http://a\n", "3:5: backends[0]: a colon is missing after url; write url: http://a"),
        (HEAD + "log\n  level: info\n", "4:4: a colon is missing after log; write log:"),
        ("version = 1\nbackends:\n  - url: http://a\n", "1:8: a = stands where a colon belongs; write version: 1"),
        # quotes
        (HEAD + "listen: '127.0.0.1:8080\nlog: {level: info}\n", "4:9: the quote (') that opens here is not closed; close it with ' at the end of the value"),
        ('version: 1\nlisten: "h:1\nbackends:\n  - url: "http://a"\n', '2:9: the quote (") that opens here is not closed; close it with " at the end of the value'),
        ('version: 1\nbackends:\n  - url: "http://a\n    name: "x"\n    pool: "y"\n', '3:10: the quote (") that opens here is not closed; close it with " at the end of the value'),
        (HEAD + "listen: \"h:1'\n", '4:9: the quote (") that opens here is not closed; close it with " at the end of the value'),
        (HEAD + "    models: [a, 'b]\n", "4:17: the quote (') that opens here is not closed; close it with ' at the end of the value"),
        (HEAD + '    name: "x # the first\nlog: {}\n', '4:11: the quote (") that opens here is not closed; close it with " at the end of the value'),
        (HEAD + "    name: 'it's'\n", "4:11: a ' inside of '…' ends the value; put the value in double quotes"),
        (HEAD + "log: level: info\n", "4:6: two keys stand in one line; begin a new line below log:, indented"),
        (HEAD + "    aliases:\n      gpt-4o:qwen3\n", "5:7: backends[0].aliases: a space is missing after the colon; write key: value lines below it, indented; or leave it out"),
        # brackets
        (HEAD + "    models: [a, b\n    name: x\n", "4:13: the [ that opens here is not closed; close it with ]"),
        ("version: 1\nbackends: [{url: http://a, name: x]\n", "2:12: the { that opens here is not closed; close it with }"),
        ("version: 1\nbackends:\n  - {url: http://a, api_key: ${K}}\n", '3:30: a reference inside { } or [ ] needs quotes; write "${K}"'),
        # what means something else in YAML
        (HEAD + "cors: {origins: [*]}\n", '4:18: a value that begins with * needs quotes; write "*"'),
        (HEAD + "    name: @x\n", "4:11: a value that begins with @ needs quotes; put the value in quotes"),
        (HEAD + "    name: a: b\n", "4:11: a value that holds a colon and a space needs quotes; put the value in quotes"),
        (HEAD + '    name: "C:\\path"\n', "4:13: a backslash means something else in double quotes; use single quotes"),
        (HEAD + "// a comment\nlog: {}\n", "4:1: // does not begin a comment; comments begin with #"),
        ("version: 1\n{{ if .x }}\nlisten: y\n{{ end }}\n", "2:1: this is a template, not YAML yet; render it first"),
        # indentation
        (HEAD + "     name: x\n", "4:6: this line is indented by 5 spaces, which does not fit the others; indent it by 4 spaces, like line 3"),
        (HEAD + "   name: x\n", "4:4: this line is indented by 3 spaces, which does not fit the others; indent it by 4 spaces, like line 3"),
        (HEAD + " - url: http://b\n", "4:2: this line is indented by 1 space, which does not fit the others; indent it by 2 spaces, like line 3"),
        ("version: 1\n listen: h:1\nbackends:\n  - url: http://a\n", "2:2: this line is indented by 1 space, which does not fit the others; begin it at the very left"),
        ("  version: 1\nbackends:\n  - url: http://a\n", "1:3: this line is indented by 2 spaces, which does not fit the others; begin it at the very left"),
        ("version: 1\nbackends:\n\t- url: http://a\n", "3:1: a tab is used for indentation; YAML indents with spaces only"),
        (HEAD + "  \tname: x\n", "4:3: a tab is used for indentation; YAML indents with spaces only"),
        ("version: 1\nbackends:\n  -\turl: http://a\n", "3:4: a tab stands after the dash; write a space"),
    ],
)  # fmt: skip
def test_each_slip_is_told_where_it_is(text: str, expected: str) -> None:
    found = told(text)
    assert expected in found, found
    assert not any(words in line for line in found for words in PARSERS_WORDS)


def test_no_word_of_the_parser_reaches_a_person() -> None:
    for text in (
        "a: [",
        "a: {b: c",
        "a: *",
        "? [",
        "a: !<",
        "%X\n---\n",
        "a: >x\n",
        "- a\nb",
        "a: 'b' c",
        "&",
        "{,}",
        "a: |1x",
    ):
        found = told(text)
        assert found
        assert not any(words in line for line in found for words in PARSERS_WORDS), found


def test_all_slips_at_once_and_what_is_behind_them() -> None:
    text = (
        "version: 1\nlisten:localhost:1\nbackends\n  - url:http://a\n    name:x\n    models: [a\n    max_concurrency: many\n"
        "log: {level: loud}\n"
    )
    assert [line.partition("; ")[0] for line in told(text)] == [
        "2:7: a space is missing after the colon",
        "3:9: a colon is missing after backends",
        "4:8: a space is missing after the colon",
        "5:9: a space is missing after the colon",
        "6:13: the [ that opens here is not closed",
        "7:22: backends[0].max_concurrency: must be a whole number",
        "8:14: log.level: must be one of debug, info, warning, error",
    ]


def test_places_behind_a_slip_are_those_of_the_file() -> None:
    text = HEAD + "log: {level: 'loud, format: x}\n"
    understood = understand(text, KEYS)
    assert understood.shifts
    assert [line.partition(" ")[0] for line in told(HEAD + "    kind:xyz\nlog: {}\n")] == ["4:9:", "4:10:"]
    assert understand(HEAD, KEYS).shifts == ()


def test_slips_are_bounded() -> None:
    text = "version: 1\nbackends:\n" + "".join(f"  - url: http://a{n}\n    name:x{n}\n" for n in range(MAX_SLIPS + 5))
    assert sum("a space is missing" in line for line in told(text)) == MAX_SLIPS


def test_long_texts_and_lines_are_not_guessed_about() -> None:
    for filler in ("# x\n" * (MAX_TEXT // 4), f"# {'x' * MAX_TEXT}\n"):
        (only,) = told(filler + HEAD + "    name:x\n    pool: y\n")
        assert "a colon is missing in this line" in only
    long = HEAD + f'    name: "{"x" * MAX_LINE_CHARACTERS}\n    pool: "y"\n'
    assert told(long)


@pytest.mark.parametrize(
    "line", ["api_key:hunter2hunter2", "api_key hunter2hunter2", "api_key: 'hunter2hunter2", "api_key:hunter2hunter2:"]
)
def test_a_secret_is_not_shown_by_its_slip(line: str) -> None:
    found = load_text(HEAD + f"    {line}\n    name: x\n", "f", SecretSource({}, Path()))
    assert found.config is None
    assert "hunter2" not in repr(found)
