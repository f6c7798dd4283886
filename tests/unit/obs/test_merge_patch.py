"""Merge patches: applied to what was, they give what is."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.obs.merge_patch import difference, patched

LEAVES = st.none() | st.integers(-3, 3) | st.text("ab", max_size=2) | st.lists(st.integers(0, 2), max_size=2)
OBJECTS: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(st.sampled_from("abc"), LEAVES, max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), LEAVES | inner, max_size=3),
    max_leaves=12,
)


def without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}


@given(OBJECTS, OBJECTS)
def test_what_was_and_the_patch_give_what_is(before: dict[str, Any], after: dict[str, Any]) -> None:
    made = patched(before, difference(before, after))
    assert without_nulls(made) == without_nulls(after)


@given(OBJECTS)
def test_the_same_needs_nothing(value: dict[str, Any]) -> None:
    assert difference(value, value) == {}


def test_only_what_changed_is_in_it() -> None:
    before = {"a": {"x": 1, "y": 2}, "b": [1], "gone": 0}
    assert difference(before, {"a": {"x": 1, "y": 3}, "b": [1]}) == {"a": {"y": 3}, "gone": None}
