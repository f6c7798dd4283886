"""A value that satisfies a JSON Schema, for `response_format` and tool arguments.

Owns the common subset (types, enum, const, properties, items, bounds, anyOf/oneOf/allOf, local $ref). `pattern` and
`format` are not honoured: a real engine constrains its decoder with a grammar, we only need valid shapes.
"""

from random import Random
from typing import Any

_DEPTH_MAX = 16
_NAMES = ("alpha", "harbour", "copper", "quiet river", "Zürich", "tide")


def instance_of(schema: Any, rng: Random) -> Any:
    """One value, deterministic by `rng`."""
    return _value(schema, schema, rng, 0)


def _value(schema: Any, root: Any, rng: Random, depth: int) -> Any:
    schema = _resolve(schema, root, rng)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return rng.choice(schema["enum"])
    kind = _kind(schema, rng)
    if kind == "object":
        return _object(schema, root, rng, depth)
    if kind == "array":
        return _array(schema, root, rng, depth)
    return _scalar(kind, schema, rng)


def _resolve(schema: Any, root: Any, rng: Random) -> dict[str, Any]:
    for _ in range(_DEPTH_MAX):
        if not isinstance(schema, dict):
            return {}
        if isinstance(schema.get("$ref"), str):
            schema = _local_ref(schema["$ref"], root)
        elif schema.get("anyOf") or schema.get("oneOf"):
            schema = rng.choice(schema.get("anyOf") or schema["oneOf"])
        elif schema.get("allOf"):
            parts = [part for part in schema["allOf"] if isinstance(part, dict)]
            schema = {key: value for part in parts for key, value in _resolve(part, root, rng).items()}
        else:
            return schema
    return {}


def _local_ref(reference: str, root: Any) -> Any:
    node = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        node = node.get(part) if isinstance(node, dict) and part else node
    return node


def _kind(schema: dict[str, Any], rng: Random) -> str:
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        return str(rng.choice(kind))
    if isinstance(kind, str):
        return kind
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def _object(schema: dict[str, Any], root: Any, rng: Random, depth: int) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    required = schema.get("required") or []
    names = [name for name in properties if name in required or depth < 3]
    names = names if depth < _DEPTH_MAX else []
    return {name: _value(properties[name], root, rng, depth + 1) for name in names}


def _array(schema: dict[str, Any], root: Any, rng: Random, depth: int) -> list[Any]:
    least = int(schema.get("minItems", 0 if depth >= _DEPTH_MAX // 2 else 1))
    most = min(int(schema.get("maxItems", least + 2)), least + 2)
    return [_value(schema.get("items"), root, rng, depth + 1) for _ in range(rng.randint(min(least, most), most))]


def _scalar(kind: str, schema: dict[str, Any], rng: Random) -> Any:
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "null":
        return None
    if kind in {"integer", "number"}:
        return _number(kind, schema, rng)
    text = rng.choice(_NAMES).ljust(int(schema.get("minLength", 0)), "x")
    return text[: int(schema.get("maxLength", len(text)))]


def _number(kind: str, schema: dict[str, Any], rng: Random) -> Any:
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    high = schema.get("maximum", schema.get("exclusiveMaximum", max(low, 0) + 100))
    if kind == "integer":
        first = int(low) + ("exclusiveMinimum" in schema)
        return rng.randint(first, max(first, int(high) - ("exclusiveMaximum" in schema)))
    return round(low + (high - low) * rng.uniform(0.1, 0.9), 3)
