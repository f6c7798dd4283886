"""Durations and sizes: every spelling, and the agreement of parser, printer and JSON Schema pattern."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from proxy.config.written import Duration, Size
from proxy.model.units import (
    format_duration,
    format_size,
    parse_duration_s,
    parse_size_b,
    readable_size,
)

DURATION = TypeAdapter(Duration)
SIZE = TypeAdapter(Size)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("5s", 5),
        ("2m", 120),
        ("1h", 3600),
        ("1d", 86400),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("0", 0),
        (0, 0),
    ],
)
def test_duration(text: object, seconds: float) -> None:
    assert parse_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0B", 0),
        ("512B", 512),
        ("64KiB", 65536),
        ("8MiB", 8 << 20),
        ("1GiB", 1 << 30),
        ("1kB", 1000),
        ("10MB", 10**7),
        ("2GB", 2 * 10**9),
        ("1.5KiB", 1536),
    ],
)
def test_size(text: object, size: int) -> None:
    parsed = parse_size_b(text)
    assert parsed == size
    assert isinstance(parsed, int)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("5", "5 has no unit; known: ms, s"),
        (5, "5 has no unit; write a duration"),
        (1.5, "1.5 has no unit"),
        ("5 s", "must be a duration with a unit"),
        (" 5s", "must be a duration with a unit"),
        ("5sec", "unknown unit 'sec'"),
        ("5S", "unknown unit 'S'"),
        ("5MiB", "unknown unit 'MiB'"),
        ("-5s", "neither negative"),
        ("nan", "must be a duration"),
        ("infs", "must be a duration"),
        ("1e3s", "must be a duration"),
        ("1_0s", "must be a duration"),
        ("1.2.3s", "must be a duration"),
        ("٣s", "must be a duration"),
        ("s", "must be a duration"),
        ("", "must be a duration"),
        ("9" * 20 + "d", "nor infinite"),
        ("9" * 400 + "s", "must be a duration"),
        (True, "must be a duration"),
        (None, "must be a duration"),
        ([], "must be a duration"),
    ],
)
def test_refused_duration(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_duration_s(value)


@pytest.mark.parametrize("value", ["8", "8mib", "8M", "8MiBs", "-1KiB", "MiB", 8, True, None, {}])
def test_refused_size(value: object) -> None:
    with pytest.raises(ValueError, match=r"size|unit|negative"):
        parse_size_b(value)


def test_a_refusal_never_echoes_a_long_input() -> None:
    with pytest.raises(ValueError, match="must be") as caught:
        parse_duration_s("1" + "x" * 100_000)
    assert len(str(caught.value)) < 100


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.25, "250ms"), (1.5, "1500ms"), (5, "5s"), (60, "1m"), (75, "75s"), (3600, "1h"), (86400, "24h"), (0, "0ms")],
)
def test_formatted_duration(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0B"), (512, "512B"), (1536, "1536B"), (65536, "64KiB"), (1 << 30, "1GiB")]
)
def test_formatted_size(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, 10**9))
def test_a_duration_survives_being_written(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration_s(format_duration(seconds)) == pytest.approx(seconds)


@given(st.integers(0, 10**9))
def test_a_size_survives_being_written(size: int) -> None:
    assert parse_size_b(format_size(size)) == size


@given(st.from_regex(r"-?[0-9.e]{0,4} ?(ms|s|m|h|d|KiB|MB|B|x)?", fullmatch=True) | st.text(max_size=8))
def test_schema_pattern_and_parser_agree(text: str) -> None:
    for adapter in (DURATION, SIZE):
        pattern = adapter.json_schema()["pattern"].replace("^", r"\A").replace("$", r"\Z")
        try:
            adapter.validate_python(text)
            accepted = True
        except ValidationError:
            accepted = False
        assert accepted == bool(re.search(pattern, text)), text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1.5, "1.5 B"), (1023, "1023 B"), (1 << 10, "1 KiB"), (1536, "1.5 KiB"), (15139759718, "14.1 GiB")],
)
def test_a_size_for_people(size: float, text: str) -> None:
    assert readable_size(size) == text
