"""What the doctor found, and what it can find at all."""

from typing import Final, NamedTuple

from proxy.config.diagnostics import Severity

_MAX_CHARS: Final = 300


class Finding(NamedTuple):
    """One thing that was seen."""

    id: str
    """Of its rule or trap; never changed, since people filter by it."""
    severity: Severity
    where: str
    """Its group: a backend's name, a part of this machine, a URL, or a place in the file."""
    what: str
    do: str = ""
    """What helps; empty for what is right."""


class Rule(NamedTuple):
    """One thing that the doctor looks for, beside the traps of engines."""

    id: str
    severity: Severity
    what: str
    """In general: a row of the table of all findings."""
    do: str = ""

    def found(self, where: str, what: str = "", do: str = "") -> Finding:
        """`what`: what was seen of it, its own words where that says no more; `do`: instead of its own."""
        return Finding(self.id, self.severity, where, shown(what or self.what), do or self.do)


def shown(text: str) -> str:
    """Bounded, in one line: parts of it come from engines."""
    return "".join(c if c.isprintable() else " " for c in text[:_MAX_CHARS])
