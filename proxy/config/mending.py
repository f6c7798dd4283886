"""Understands a file in spite of slips of the pen: each is told, and the rest is read as if it had not been made.

Owns the way from a place in the mended text back to the file.
"""

from typing import NamedTuple

from proxy.config.faults import Names
from proxy.config.slips import find
from proxy.config.source import Position, Span
from proxy.config.tree import Parsed, Problem, parse, reach

MAX_SLIPS = 10
"""Told at once; what is behind the next one is not looked at."""


class _Shift(NamedTuple):
    """On its line, what is behind `column` stands `by` characters further to the right than in the file."""

    line: int
    column: int
    by: int


class Mended(NamedTuple):
    """What a file says, and the way back from it to the file."""

    parsed: Parsed
    shifts: tuple[_Shift, ...] = ()
    slips: frozenset[Position] = frozenset()

    def is_slip(self, position: Position) -> bool:
        """Whether a slip stands at a place of `parsed`: what else is wrong there only follows from it."""
        return self.place(position) in self.slips

    def place(self, position: Position) -> Position:
        """Where in the file a place of `parsed` is."""
        line, column = position
        for shift in reversed(self.shifts):
            if line == shift.line and column > shift.column:
                column = max(shift.column, column - shift.by)
        return Position(line, column)


def understand(text: str, names: Names) -> Mended:
    """The document in `text`; `names`: of options. Never raises for bad text."""
    parsed, slips, shifts = parse(text), list[Problem](), list[_Shift]()
    while parsed.fault is not None and len(slips) < MAX_SLIPS:
        slip = find(text, parsed.fault, names, reach)
        parsed.problems.pop()
        slips.append(Problem(slip.position, (), slip.message, slip.hint))
        if slip.mended is None:
            break
        shifts.append(_shift(text, slip.mended))
        text = slip.mended
        parsed = parse(text)
    lines = frozenset(slip.position.line for slip in slips)
    understood = Mended(parsed, tuple(shifts), frozenset(slip.position for slip in slips))
    parsed.problems[:] = [*slips, *(problem for problem in parsed.problems if problem.position.line not in lines)]
    parsed.secrets = [Span(understood.place(start), end) for start, end in parsed.secrets]
    return understood


def _shift(before: str, after: str) -> _Shift:
    at = next((i for i, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), len(before))
    return _Shift(before.count("\n", 0, at) + 1, at - before.rfind("\n", 0, at), len(after) - len(before))
