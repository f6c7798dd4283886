"""Files beside the configuration that hold more of its `backends`: read, and put behind its own, each with its places.

Owns which files those are, what may stand in one, and the bounds. In the tree of all, the lines of a fragment are
counted on from those before it, so that a place tells its file.
"""

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator, Field

from proxy.config.faults import Names
from proxy.config.finding import Finding
from proxy.config.mending import Mended, understand
from proxy.config.options import OptionPath
from proxy.config.refusal import quoted, refusal
from proxy.config.source import Position, Span, UnreadableError, read_text, split_lines
from proxy.config.tree import Node, Problem, TreeEntry

MAX_FRAGMENTS: Final = 256
MAX_FRAGMENT_NODES: Final = 50_000
"""Keys and values of all of them."""
_PATTERN: Final = r"[^\x00*?\[\]]*/[^\x00/]+\.ya?ml"
_BACKENDS: Final = "backends"


def _pattern(text: str) -> str:
    if not re.fullmatch(_PATTERN, text):
        raise refusal(f"{quoted(text)} names no YAML files of one folder", "write it like backends.d/*.yaml")
    return text


IncludePattern = Annotated[
    str, Field(max_length=1024, json_schema_extra={"pattern": f"^{_PATTERN}$"}), AfterValidator(_pattern)
]


class Text(NamedTuple):
    """One file of a configuration."""

    name: str
    lines: Sequence[str]
    understood: Mended
    first_line: int = 0
    """Lines of the files before it."""
    first_backend: int = 0
    """Backends of the files before it."""

    def local(self, position: Position) -> Position:
        """A place of the tree in this file."""
        return self.understood.place(_moved(position, -self.first_line))

    def local_path(self, path: OptionPath) -> OptionPath:
        """An option, as it is counted in this file."""
        return _of_backend(path, -self.first_backend)


class Wrong(NamedTuple):
    """What is wrong with a fragment as a whole."""

    place: Position
    """In the tree; in the file where that could not be read."""
    finding: Finding
    unread: str = ""
    """The file, where it could not be read."""


class Included(NamedTuple):
    """A configuration's tree with what it includes."""

    root: Node | None
    texts: tuple[Text, ...] = ()
    problems: tuple[Problem, ...] = ()
    wrong: tuple[Wrong, ...] = ()
    files: frozenset[Path] = frozenset()
    """What is to be watched: each, and the folder, where others may come."""
    digest: str = ""
    """Their text, one after the other."""


def include(root: Node | None, main: Text, directory: Path, names: Names) -> Included:
    """What `include` in the tree of `main` names, relative to `directory`. Reads files; never raises for bad ones."""
    entry = root.value.get("include") if root is not None and isinstance(root.value, dict) else None
    if root is None or entry is None or not isinstance(pattern := entry.node.value, str):
        return Included(root)
    if not re.fullmatch(_PATTERN, pattern):
        return Included(root)  # what is wrong with it is told as of any option
    folder = directory / pattern.rpartition("/")[0]
    watched = frozenset({folder})
    try:
        found = sorted(_files(folder, pattern.rpartition("/")[2]))
    except OSError as error:
        why = f"{folder} cannot be read: {(error.strerror or 'input/output error').lower()}"
        return Included(
            root, wrong=(_at(entry, why, "make the folder, or leave include out"),), files=frozenset({folder})
        )
    if len(found) > MAX_FRAGMENTS:
        why = f"{len(found)} files fit, more than {MAX_FRAGMENTS}"
        return Included(root, wrong=(_at(entry, why, "put several backends into one"),), files=watched)
    reading = _Reading(root, entry, main, names)
    for file in found:
        reading.add(file)
    return reading.included(watched.union(found))


class _Reading:
    """One file after the other."""

    def __init__(self, root: Node, entry: TreeEntry, main: Text, names: Names) -> None:
        self._root, self._entry, self._names = root, entry, names
        own = root.value.get(_BACKENDS)
        self._own = own
        self._items: list[Node] = list(own.node.value) if own and isinstance(own.node.value, tuple) else []
        self._line = len(main.lines)
        self._nodes = 0
        self._texts: list[Text] = []
        self._problems: list[Problem] = []
        self._wrong: list[Wrong] = []
        self._digest: list[str] = []

    def add(self, file: Path) -> None:
        """The next one."""
        try:
            text = read_text(file)
        except UnreadableError as error:
            self._wrong.append(Wrong(error.position, Finding((), error.message, error.hint), str(file)))
            return
        one = Text(str(file), split_lines(text), understand(text, self._names), self._line, len(self._items))
        self._texts.append(one)
        self._digest.append(text)
        self._line += len(one.lines)
        parsed = one.understood.parsed
        for problem in parsed.problems:
            place = _moved(problem.position, one.first_line)
            self._problems.append(problem._replace(position=place, path=_of_backend(problem.path, one.first_backend)))
        self._take(one, parsed.root)

    def _take(self, one: Text, root: Node | None) -> None:
        if root is None or root.value is None:
            if not one.understood.parsed.problems:
                self._refuse(one, Position(1, 1), (), "the file is empty", "it holds backends:, and nothing else")
            return
        if not isinstance(root.value, dict):
            self._refuse(one, root.span.start, (), "must be a group of options", "start with backends:")
            return
        for key, entry in root.value.items():
            if key != _BACKENDS:
                hint = "write it into the file that includes this one"
                self._refuse(one, entry.key.start, (key,), "only backends may stand in an included file", hint)
        entry = root.value.get(_BACKENDS)
        if entry is None or not isinstance(entry.node.value, tuple):
            place = root.span.start if entry is None else entry.key.start
            self._refuse(one, place, (_BACKENDS,), "must be a list of backends", "write - before each")
            return
        self._nodes += root.size
        if self._nodes > MAX_FRAGMENT_NODES:
            self._refuse(one, Position(1, 1), (), f"more than {MAX_FRAGMENT_NODES:,} keys and values are included", "")
            return
        self._items += [_shifted(item, one.first_line) for item in entry.node.value]

    def _refuse(self, one: Text, place: Position, path: OptionPath, message: str, hint: str) -> None:
        self._wrong.append(Wrong(_moved(place, one.first_line), Finding(path, message, hint)))

    def included(self, files: frozenset[Path]) -> Included:
        """All together; backends of the file that are no list stay alone, and are told of."""
        root = self._root
        if self._items and (self._own is None or isinstance(self._own.node.value, tuple | None)):
            items = tuple(self._items)
            key = self._entry.key if self._own is None else self._own.key
            span = self._entry.node.span if self._own is None else self._own.node.span
            listed = TreeEntry(key, Node(span, items, 1 + sum(item.size for item in items)))
            root = Node(root.span, {**root.value, _BACKENDS: listed}, root.size + listed.node.size)
        return Included(
            root, tuple(self._texts), tuple(self._problems), tuple(self._wrong), files, "\0".join(self._digest)
        )


def _files(folder: Path, pattern: str) -> Iterator[Path]:
    for path in folder.iterdir():
        if fnmatchcase(path.name, pattern) and not path.name.startswith(".") and not path.is_dir():
            yield path


def _at(entry: TreeEntry, message: str, hint: str) -> Wrong:
    return Wrong(entry.node.span.start, Finding(("include",), message, hint))


def _of_backend(path: OptionPath, by: int) -> OptionPath:
    """`backends[1].url` of one count in another."""
    if len(path) > 1 and path[0] == _BACKENDS and isinstance(path[1], int):
        return (path[0], path[1] + by, *path[2:])
    return path


def _moved(position: Position, by: int) -> Position:
    return Position(position.line + by, position.column)


def _span(span: Span, by: int) -> Span:
    return Span(_moved(span.start, by), _moved(span.end, by))


def _shifted(node: Node, by: int) -> Node:
    """So many lines further down."""
    value = node.value
    if isinstance(value, dict):
        value = {key: TreeEntry(_span(one.key, by), _shifted(one.node, by)) for key, one in value.items()}
    elif isinstance(value, tuple):
        value = tuple(_shifted(item, by) for item in value)
    return Node(_span(node.span, by), value, node.size)
