"""What is found wrong, at its place: in which file, line and column an option of the tree stands.

Owns that way, and how much is told. Finds nothing.
"""

from collections.abc import Iterator
from itertools import takewhile
from typing import Final

from proxy.config.diagnostics import Diagnostic, Severity
from proxy.config.finding import Finding
from proxy.config.fragments import Text, Wrong
from proxy.config.options import OptionPath, all_options, shown
from proxy.config.schema import Config
from proxy.config.source import Position, looks_secret, masked_line, masked_text
from proxy.config.tree import Node, TreeEntry

MAX_DIAGNOSTICS: Final = 100
KEYS: Final = frozenset(option.path[-1] for option in all_options(Config))


class Report:
    """Collects diagnostics: the first error of an option stays, the rest of a flood is counted."""

    def __init__(self, main: Text, *others: Text) -> None:
        """`others`: what it includes. The tree of all is that of `main`."""
        self.diagnostics: list[Diagnostic] = []
        self.has_lost_backends = any(text.understood.parsed.root is None for text in others)
        """A file that is included was not understood, or could not be read."""
        self._texts, self._understood = (main, *others), main.understood
        self._refused: set[OptionPath] = set()

    def whole(self, wrong: Wrong) -> None:
        """Something about an included file."""
        self.has_lost_backends = True
        if not wrong.unread:
            self.at(wrong.place, wrong.finding)
        elif len(self.diagnostics) < MAX_DIAGNOSTICS:
            found = wrong.finding
            self.diagnostics.append(
                Diagnostic(found.severity, wrong.unread, *wrong.place, "", found.message, found.hint)
            )

    def _text_of(self, position: Position) -> Text:
        return next(text for text in reversed(self._texts) if position.line > text.first_line or not text.first_line)

    def finding(self, finding: Finding, *, at_key: bool = False) -> None:
        """One finding, at the place of its option."""
        if at_key or finding.path not in self._refused:
            position = position_of(self._understood.parsed.root, finding.path, at_key=at_key)
            if finding.severity is not Severity.ERROR or not self._is_slip(position):
                self.at(position, finding)

    def broken(self) -> Iterator[OptionPath]:
        """Sections, or their entries, in which something was not even YAML, or is there twice."""
        root = self._understood.parsed.root
        for problem in self._understood.parsed.problems:
            if problem.surprising:  # a value that is told, and read as text
                continue
            yield from _entry_at(root, problem.position.line)
        others = [problem for text in self._texts[1:] for problem in text.understood.parsed.problems]
        if self.has_lost_backends or not all(problem.surprising for problem in others):
            yield ("backends",)

    def _is_slip(self, position: Position) -> bool:
        text = self._text_of(position)
        return text.local(position) in text.understood.slips

    def at(self, position: Position, finding: Finding) -> None:
        """One finding, at a known place."""
        if finding.severity is Severity.ERROR:
            self._refused.add(finding.path)
        if len(self.diagnostics) < MAX_DIAGNOSTICS:
            self.diagnostics.append(self._diagnostic(position, finding))

    def _diagnostic(self, position: Position, finding: Finding) -> Diagnostic:
        text = self._text_of(position)
        position, parsed = text.local(position), text.understood.parsed
        understood = not text.understood.shifts and parsed.root is not None
        source = masked_line(text.lines, position.line, parsed.secrets, understood=understood)
        return Diagnostic(
            finding.severity,
            text.name,
            position.line,
            position.column,
            path=masked_text(shown(_without_secret_keys(text.local_path(finding.path)))),
            message=masked_text(finding.message),
            hint=masked_text(finding.hint),
            source=source,
        )


def _without_secret_keys(path: OptionPath) -> OptionPath:
    """A key below a secret may be the secret itself, unless an option is called so."""
    for depth, part in enumerate(path):
        if isinstance(part, str) and looks_secret(part):
            below = takewhile(lambda one: isinstance(one, int) or one in KEYS, path[depth + 1 :])
            return (*path[:depth], part.partition(":")[0], *below)
    return path


def resolved(root: Node, loc: tuple[str | int, ...]) -> tuple[OptionPath, Node | None]:
    """The option that `loc` means, without the names of union members, and its node; None for a missing one."""
    node: Node = root
    path: OptionPath = ()
    for depth, part in enumerate(loc):
        below = _child(node, part)
        if below is not None:
            node, path = below, (*path, part)
        elif isinstance(node.value, dict) and part != "[key]" and depth == len(loc) - 1:
            return (*path, part), None
    return path, node


def _child(node: Node, part: str | int) -> Node | None:
    if isinstance(node.value, dict):
        entry: TreeEntry | None = node.value.get(part)
        return entry.node if entry else None
    items: tuple[Node, ...] = node.value if isinstance(node.value, tuple) else ()
    return items[part] if isinstance(part, int) and part < len(items) else None


def _entry_at(root: Node | None, line: int) -> Iterator[OptionPath]:
    """The top-level option that a line belongs to, and the entry in it when it is a list."""
    above = [(name, entry) for name, entry in (root.value if root else {}).items() if entry.key.start.line <= line]
    if not above:
        return
    name, entry = max(above, key=lambda one: one[1].key.start.line)
    yield (name,)
    if isinstance(entry.node.value, tuple):
        places = [index for index, item in enumerate(entry.node.value) if item.span.start.line <= line]
        yield from ((name, index) for index in places[-1:])


def position_of(root: Node | None, path: OptionPath, *, at_key: bool) -> Position:
    """Where an option stands: a single value at itself, a group at its key, a missing one where it belongs."""
    if root is None:
        return Position(1, 1)
    node, key = root, None
    for part in path:
        below = _child(node, part)
        if below is None:
            break
        key = node.value[part].key if isinstance(node.value, dict) else None
        node = below
    else:
        at_key = at_key or isinstance(node.value, dict | tuple)
        return key.start if key and at_key else node.span.start
    return key.start if key else node.span.start
