"""What another configuration changes in meaning: options with their old and new values, as they are written.

Owns the comparison. Comments, the order of keys and defaults that are spelled out are no change. Entries of a list that
have a name are told by it, the others (rules) by their place, and where places matter their order is a change too.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

from pydantic import SecretStr

from proxy.config.resolved import MASKED, tree_of
from proxy.config.restart import needs_restart
from proxy.config.schema import Config

Kind = Literal["added", "removed", "changed", "moved"]
_NAMES: Final = ("name", "version", "tenant", "endpoint")
"""By the first of these that an entry has it is known among the others of its list."""
_ORDERED: Final = frozenset({"backends", "rules"})
"""Lists in which the order decides."""
_SHOWN: Final = 120
"""Characters of a value."""
_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~", "moved": "~"}


@dataclass(frozen=True, slots=True)
class Change:
    """Of one option, or of one entry of a list."""

    kind: Kind
    path: str
    """Such as `backends[gpu1].seats`."""
    old: Any = None
    """As it would be written; secrets are masked."""
    new: Any = None
    restart: bool = False
    """It waits for a restart."""

    def said(self) -> str:
        """In one line."""
        after = "   (restart needed)" if self.restart else ""
        if self.kind == "changed":
            return f"{self.path}: {_shown(self.old)} → {_shown(self.new)}{after}"
        if self.kind == "moved":
            return f"{self.path}: in another order: {', '.join(self.new)}{after}"
        return f"{self.path}: {self.kind}: {_shown(self.new if self.kind == 'added' else self.old)}{after}"

    @property
    def sign(self) -> str:
        """As diffs have it."""
        return _SIGNS[self.kind]


_Path: TypeAlias = "tuple[str | _Entry, ...]"


def changes(old: Config, new: Config) -> list[Change]:
    """From one to the other, in the order of the schema; empty: they mean the same."""
    return [*_between(tree_of(old, _Secret), tree_of(new, _Secret), ())]


class _Secret:
    """Compared by its value, shown without."""

    def __init__(self, value: SecretStr) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Secret) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]


def _between(old: Any, new: Any, path: _Path) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _of_groups(old, new, path)
    elif isinstance(old, list) and isinstance(new, list) and _is_of_groups(old) and _is_of_groups(new):
        yield from _of_lists(old, new, path)
    else:
        yield _changed("changed", path, old, new)


def _of_groups(old: Mapping[str, Any], new: Mapping[str, Any], path: _Path) -> Iterator[Change]:
    for key in (*old, *(key for key in new if key not in old)):
        if key not in new:
            yield _changed("removed", (*path, key), old[key], None)
        elif key not in old:
            yield _changed("added", (*path, key), None, new[key])
        else:
            yield from _between(old[key], new[key], (*path, key))


def _of_lists(old: list[Any], new: list[Any], path: _Path) -> Iterator[Change]:
    before, after = _named(old), _named(new)
    for name in (*before, *(name for name in after if name not in before)):
        here = (*path, name)
        if name not in after:
            yield _changed("removed", here, before[name], None)
        elif name not in before:
            yield _changed("added", here, None, after[name])
        elif name.place is None:
            yield from _between(before[name], after[name], here)
    stayed = [name for name in before if name in after]
    places = {name: name for name in before}
    order = [places[name] for name in after if name in before]
    if path[-1] in _ORDERED and stayed != order:
        yield Change("moved", _said(path), [*map(str, stayed)], [*map(str, order)], _waits(path))


@dataclass(frozen=True, slots=True)
class _Entry:
    """What an entry of a list is known by."""

    known_by: str
    """Its name; where it has none all that it says, so that it is added, removed or moved, never changed."""
    place: int | None = field(default=None, compare=False)
    """None: it has a name."""

    def __str__(self) -> str:
        return self.known_by if self.place is None else str(self.place)


def _named(entries: list[Any]) -> dict[_Entry, Any]:
    named = {}
    for place, entry in enumerate(entries):
        name = next((str(entry[key]) for key in _NAMES if key in entry), None)
        said = _Entry(json.dumps(entry, sort_keys=True), place) if name is None else _Entry(name)
        named[said] = entry
    return named


def _changed(kind: Kind, path: _Path, old: Any, new: Any) -> Change:
    return Change(kind, _said(path), _masked(old), _masked(new), _waits(path))


def _waits(path: _Path) -> bool:
    return needs_restart(tuple(part for part in path if isinstance(part, str)))


def _said(path: _Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, _Entry) else f".{part}" if text else part
    return text


def _is_of_groups(entries: list[Any]) -> bool:
    return all(isinstance(entry, dict) for entry in entries)


def _masked(value: Any) -> Any:
    if isinstance(value, _Secret):
        return MASKED
    if isinstance(value, dict):
        return {key: _masked(below) for key, below in value.items()}
    return [_masked(below) for below in value] if isinstance(value, list) else value


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
