"""What changed from one JSON object to the next, as a merge patch (RFC 7396).

Owns the comparison. null and "not there" are the same to a merge patch, and so they are to whoever reads one.
"""

from collections.abc import Mapping
from typing import Any


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """A patch that makes `after` of `before`; empty: nothing changed. Arrays are values: changed or not."""
    patch: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        known = before.get(name)
        if isinstance(value, Mapping) and isinstance(known, Mapping):
            inner = difference(known, value)
            if inner:
                patch[name] = inner
        elif value != known:
            patch[name] = value
    return patch


def patched(before: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """`before` as the patch makes it."""
    made = {name: value for name, value in before.items() if patch.get(name, value) is not None}
    for name, value in patch.items():
        if isinstance(value, Mapping):
            known = made.get(name)
            made[name] = patched(known if isinstance(known, Mapping) else {}, value)
        elif value is not None:
            made[name] = value
    return made
