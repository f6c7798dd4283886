"""YAML text to a tree of values with the line and column of every key and value.

Works on parser events and stops at the first one past a bound, so that no text, however nested or self-repeating, costs
more than the bound. Owns what YAML is allowed (no tags, merge keys, duplicate keys); knows no option.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import yaml

from proxy.config.faults import ConfigFault, plain_words
from proxy.config.options import OptionPath
from proxy.config.scalars import Surprise, resolve
from proxy.config.secrets import is_literal
from proxy.config.source import Position, Span, looks_secret

MAX_NODES = 10_000
"""Keys, values, lists and groups together, with every alias counted as what it stands for."""
MAX_ALIASES = 16
MAX_DEPTH = 32

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Node:
    """A value in the file."""

    span: Span
    value: Any
    """A scalar; a dict of key → Entry; a tuple of Node."""
    size: int = 1
    """Nodes in it, itself included."""

    def plain(self) -> Any:
        """The value without positions."""
        if isinstance(self.value, dict):
            return {key: entry.node.plain() for key, entry in self.value.items()}
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        return self.value


class TreeEntry(NamedTuple):
    """A key and its value."""

    key: Span
    node: Node


class Problem(NamedTuple):
    """Something YAML allows, or not even YAML, that this loader refuses."""

    position: Position
    path: OptionPath
    message: str
    hint: str = ""
    surprising: bool = False
    """A plain scalar that YAML versions read differently: what it should be depends on the option."""


@dataclass(slots=True)
class Parsed:
    """What was understood, and what was wrong."""

    root: Node | None = None
    problems: list[Problem] = field(default_factory=list)
    secrets: list[Span] = field(default_factory=list)
    """Where the file holds what looks like a secret: not to be shown."""
    fault: ConfigFault | None = None
    """Where it stopped being YAML; the last problem tells of it."""


def parse(text: str) -> Parsed:
    """The one document in `text`. Never raises for bad text."""
    builder = _Builder(text)
    try:
        builder.parsed.root = builder.document()
    except _StopError:
        builder.parsed.root = None
    return builder.parsed


def reach(text: str) -> Position | None:
    """Where a text stops being YAML; None: nowhere."""
    try:
        for _ in yaml.parse(text, Loader=_LOADER):
            pass
    except yaml.MarkedYAMLError as error:
        return _fault(error).position
    except (yaml.YAMLError, ValueError):
        return Position(1, 1)
    return None


class _StopError(Exception):
    """What follows cannot be understood; the problem is recorded."""


class _Builder:
    def __init__(self, text: str) -> None:
        self.parsed = Parsed()
        self._text = text
        self._events: Iterator[Any] = yaml.parse(text, Loader=_LOADER)
        self._anchors: dict[str, Node] = {}
        self._aliases = 0
        self._nodes = 0

    def document(self) -> Node | None:
        self._next()  # stream start
        if isinstance(self._next(), yaml.StreamEndEvent):
            return None
        root = self._node(self._next(), ())
        self._next()  # document end
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self._stop(after, (), "a second document starts here", "one file holds one configuration: remove the ---")
        return root

    def _next(self) -> Any:
        try:
            return next(self._events)
        except yaml.MarkedYAMLError as error:
            self.parsed.fault = _fault(error)
            slip = plain_words(self._text, self.parsed.fault)
            self.parsed.problems.append(Problem(slip.position, (), slip.message, slip.hint))
        except (yaml.YAMLError, ValueError):  # the reader's: not text at all
            self.parsed.problems.append(Problem(Position(1, 1), (), "is not YAML text"))
        raise _StopError

    def _node(self, event: Any, path: OptionPath) -> Node:
        if len(path) > MAX_DEPTH:
            self._stop(event, (), f"nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        self._count(event, 1)
        if event.tag is not None:
            self._problem(event, path, "tags (!) are not allowed", "write the plain value")
        node = self._built(event, path)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _built(self, event: Any, path: OptionPath) -> Node:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, path)
        return Node(_span(event), self._scalar(event, path))

    def _scalar(self, event: Any, path: OptionPath) -> Any:
        if any("\ud800" <= c <= "\udfff" for c in event.value):
            self._problem(event, path, "holds half of a surrogate pair", "write the character itself")
            return ""
        if event.style or event.tag is not None:
            return event.value
        if event.anchor and not event.value:
            self._problem(event, path, "a value that begins with & needs quotes", f'write "&{event.anchor}"')
        value = resolve(event.value)
        if isinstance(value, Surprise):
            self._surprise(event, path, value)
            return event.value
        return value

    def _surprise(self, event: Any, path: OptionPath, surprise: Surprise) -> None:
        if any(isinstance(part, str) and looks_secret(part) for part in path):
            surprise = Surprise("is not text without quotes", "write ${NAME}, and the secret into the environment")
        self.parsed.problems.append(Problem(_span(event).start, path, surprise.message, surprise.hint, surprising=True))

    def _sequence(self, start: Any, path: OptionPath) -> Node:
        items: list[Node] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            items.append(self._node(event, (*path, len(items))))
        return Node(_span(start, event), tuple(items), 1 + sum(i.size for i in items))

    def _mapping(self, start: Any, path: OptionPath) -> Node:
        entries: dict[str, TreeEntry] = {}
        size, begun_anew = 1, False
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._key(event, path)
            node = self._value(key, path)
            size += 1 + node.size
            if key is not None and looks_secret(key) and not _is_reference(node):
                self.parsed.secrets += [node.span] if ":" not in key else [node.span, _span(event)]
            if key is not None and not (begun_anew and key in entries):
                entry = TreeEntry(_span(event), node)
                begun_anew = begun_anew or self._begins_anew(entries, key, path)
                self._add(
                    entries, key, entry, path, "write - before it if it begins another entry" if begun_anew else ""
                )
        return Node(_span(start, event), entries, size)

    def _value(self, key: str | None, path: OptionPath) -> Node:
        """What stands behind a key; of one that was refused, an alias need not be known."""
        event = self._next()
        if key is None and isinstance(event, yaml.AliasEvent):
            return Node(_span(event), None)
        return self._node(event, (*path, key if key is not None else "?"))

    def _key(self, event: Any, path: OptionPath) -> str | None:
        """The text of a key; None, with the problem recorded, when it cannot be one."""
        if not isinstance(event, yaml.ScalarEvent):
            self._problem(
                event,
                path,
                "a key must be plain text",
                "put a value that begins with { in quotes; render a template first",
            )
            if not isinstance(event, yaml.AliasEvent):
                self._node(event, path)
            return None
        self._count(event, 1)
        if event.tag is not None or event.anchor:
            self._problem(event, path, "a key can have neither a tag nor an anchor")
            return None
        if event.value == "<<" and not event.style:
            self._problem(event, path, "merge keys (<<) are not allowed", "write the options out")
            return None
        return self._key_text(event, path)

    def _key_text(self, event: Any, path: OptionPath) -> str | None:
        text = str(event.value)
        if not text or not text.isprintable():
            odd = next((c for c in text if not c.isprintable()), "")
            hint = f"U+{ord(odd):04X} in it only looks like a space: write plain ones" if odd.isspace() else ""
            self._problem(event, path, "a key must be printable text" if text else "the key is missing", hint)
            return None
        return text

    def _begins_anew(self, entries: dict[str, TreeEntry], key: str, path: OptionPath) -> bool:
        """Whether the entry of a list that comes next has lost its dash: the first key of this one comes again."""
        return bool(path) and isinstance(path[-1], int) and next(iter(entries), None) == key

    def _add(self, entries: dict[str, TreeEntry], key: str, entry: TreeEntry, path: OptionPath, hint: str) -> None:
        if key in entries:
            first = entries[key].key.start.line
            message = f"duplicate key, first on line {first}"
            self._at(entry.key.start, (*path, key), message, hint or "remove one of the two")
            return
        entries[key] = entry

    def _alias(self, event: Any, path: OptionPath) -> Node:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            self._stop(event, path, f"more than {MAX_ALIASES} aliases", "write the options out")
        node = self._anchors.get(event.anchor)
        if node is None:
            message = "this alias (*) has no anchor (&) before it"
            self._stop(event, path, message, "put it in quotes, if it is none")
        self._count(event, node.size)
        return node

    def _count(self, event: Any, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self._stop(event, (), f"more than {MAX_NODES:,} keys and values, aliases counted as what they stand for")

    def _problem(self, event: Any, path: OptionPath, message: str, hint: str = "") -> None:
        self._at(_span(event).start, path, message, hint)

    def _at(self, position: Position, path: OptionPath, message: str, hint: str = "") -> None:
        self.parsed.problems.append(Problem(position, path, message, hint))

    def _stop(self, event: Any, path: OptionPath, message: str, hint: str = "") -> NoReturn:
        self._problem(event, path, message, hint)
        raise _StopError


def _is_reference(node: Node) -> bool:
    return isinstance(node.value, str) and not is_literal(node.value)


def _span(first: Any, last: Any | None = None) -> Span:
    start, end = first.start_mark, (last or first).end_mark
    return Span(Position(start.line + 1, start.column + 1), Position(end.line + 1, end.column + 1))


def _fault(error: yaml.MarkedYAMLError) -> ConfigFault:
    place = _place(error.problem_mark) or _place(error.context_mark) or Position(1, 1)
    return ConfigFault(place, error.problem or "", _place(error.context_mark), error.context or "")


def _place(mark: Any) -> Position | None:
    return Position(mark.line + 1, mark.column + 1) if mark else None
