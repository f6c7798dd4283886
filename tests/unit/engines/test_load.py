"""Readings of loads: how they add up, and garbage, which every engine's reader takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.engines.load import NOTHING, Reading, merged, parsed, tokens, word
from proxy.engines.registry import DIALECTS
from proxy.model.engine_facts import MAX_CHARS

READERS = [source.read for dialect in DIALECTS.values() for source in dialect.loads]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("text", [b"", b"<html>", b"[]", b"{}", b"null", b"[1]", b'{"models":3}', b"[" * 100_000])
def test_garbage_reads_as_nothing(read: object, text: bytes) -> None:
    assert callable(read)
    assert read(text) == NOTHING


@given(st.binary() | st.text().map(str.encode))
def test_nothing_raises(text: bytes) -> None:
    for read in READERS:
        read(text)
        read(b"vllm:num_requests_running" + text)


def test_what_one_source_tells_the_next_adds_to() -> None:
    first, second = Reading(running=1, seats=4), Reading(running=9, waiting=2, seats=3, unloaded=True)
    assert merged(first, second) == Reading(running=1, waiting=2, seats=4, unloaded=True)
    assert merged(first, NOTHING) == merged(NOTHING, first) == first


@pytest.mark.parametrize("value", [None, 0, -1, True, "2048", 2048.0, 1 << 40, [2048]])
def test_a_length_that_is_none(value: object) -> None:
    assert tokens(value) is None


def test_what_is_no_json_is_nothing() -> None:
    assert parsed(b'{"a":1}') == {"a": 1}
    assert parsed(b"[" * 100_000) is None


def test_a_word_is_printed_in_one_line_and_moves_no_cursor() -> None:
    assert word(" llama\x1b[2J\u202eb10621\n-x ") == "llama [2J b10621 -x"
    assert word("x" * 10_000) == "x" * MAX_CHARS
    assert word(None) == word(7) == ""
