"""Items of arrays and edits of a text, byte for byte."""

import json

import orjson
from hypothesis import given
from hypothesis import strategies as st

from proxy.wire.prompts.spans import items, with_edits, without_items

VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.text(alphabet='a"\\[]{},:\n é', max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=12,
)


def written(values: list[object], spaced: bool) -> bytes:
    return json.dumps(values, indent=1 if spaced else None).encode()


@given(st.lists(VALUES, max_size=6), st.booleans())
def test_items_are_found_whole(values: list[object], spaced: bool) -> None:
    text = written(values, spaced)
    assert [orjson.loads(text[start:end]) for start, end in items(text)] == values


@given(st.lists(VALUES, max_size=6), st.booleans(), st.sets(st.integers(0, 5)))
def test_items_go_with_their_commas(values: list[object], spaced: bool, gone: set[int]) -> None:
    text = written(values, spaced)
    spans = [span for index, span in enumerate(items(text)) if index in gone]
    left = [value for index, value in enumerate(values) if index not in gone]
    assert orjson.loads(without_items(text, spans)) == left


def test_edits_are_made_in_place() -> None:
    assert with_edits(b"abcdef", [(0, 1, b""), (2, 3, b"XY"), (6, 6, b"!")]) == b"bXYdef!"
    assert with_edits(b"abc", []) == b"abc"
