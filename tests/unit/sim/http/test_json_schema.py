"""Generated values against the schemas they were generated from."""

from random import Random
from typing import Any

import pytest

from proxy.sim.http.json_schema import instance_of

CASES: list[tuple[dict[str, Any], Any]] = [
    ({"const": 7}, lambda v: v == 7),
    ({"enum": ["a", "b"]}, lambda v: v in {"a", "b"}),
    ({"type": "boolean"}, lambda v: isinstance(v, bool)),
    ({"type": "null"}, lambda v: v is None),
    ({"type": "integer", "minimum": 3, "maximum": 5}, lambda v: 3 <= v <= 5),
    ({"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5}, lambda v: v == 4),
    ({"type": "number", "minimum": -2, "maximum": -1}, lambda v: -2 <= v <= -1),
    ({"type": "string", "minLength": 30}, lambda v: len(v) >= 30),
    ({"type": "string", "maxLength": 2}, lambda v: len(v) <= 2),
    ({"type": ["string", "null"]}, lambda v: v is None or isinstance(v, str)),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 4}, lambda v: len(v) >= 4 and type(v[0]) is int),
    ({"type": "array", "maxItems": 0}, lambda v: v == []),
    ({"anyOf": [{"const": 1}, {"const": 2}]}, lambda v: v in {1, 2}),
    ({"allOf": [{"type": "integer", "minimum": 8}, {"maximum": 9}]}, lambda v: v in {8, 9}),
    ({"$ref": "#/$defs/x", "$defs": {"x": {"const": "deep"}}}, lambda v: v == "deep"),
    ({"properties": {"a": {"const": 1}, "b": {"type": "object"}}, "required": ["a"]}, lambda v: v == {"a": 1, "b": {}}),
    (True, lambda v: isinstance(v, str)),  # type: ignore[list-item]
]


@pytest.mark.parametrize(("schema", "fits"), CASES)
def test_values_fit(schema: Any, fits: Any) -> None:
    for seed in range(20):
        value = instance_of(schema, Random(seed))
        assert fits(value), value
        assert value == instance_of(schema, Random(seed))


def test_a_schema_that_contains_itself_ends() -> None:
    node: dict[str, Any] = {
        "type": "object",
        "properties": {"next": {"$ref": "#"}, "all": {"type": "array", "items": {"$ref": "#"}}},
        "required": ["next"],
    }
    value, depth = instance_of(node, Random(1)), 0
    while value:
        value, depth = value.get("next"), depth + 1
    assert depth < 40
    assert instance_of({"$ref": "#"}, Random(1)) is not None
