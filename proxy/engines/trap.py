"""What of an engine's set-up makes it worse behind a proxy: the shape of a trap, and of what an engine showed.

Which traps there are stands in `traps/`, one table per kind. Each is found only in what an engine says over HTTP to
questions that change nothing; what it does not say is no trap.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

from proxy.engines.load import parsed

_ALMOST_EMPTY: Final = 0.5
"""Of the KV cache in use while requests wait: it is not memory that keeps them."""


class Sight(NamedTuple):
    """What an engine showed."""

    statuses: Mapping[str, int]
    """Path → status of its answer; what did not answer is left out."""
    bodies: Mapping[str, bytes]
    """Of its answers with status 200."""
    models: Any = None
    """Its model list, parsed."""
    version: str = ""
    now: float = 0.0
    """Unix time at which it was looked at."""

    def lacks(self, path: str) -> bool:
        """Whether it answered there, and has no such route; not where it wanted a key, or was not ready."""
        return self.statuses.get(path, 0) in (400, 404, 405, 501)

    def fields(self, path: str) -> Mapping[str, Any]:
        """The JSON object that it answers there; empty for anything else."""
        told = parsed(self.bodies.get(path, b""))
        return told if isinstance(told, dict) else {}

    def entries(self) -> list[Mapping[str, Any]]:
        """Of its model list."""
        found = self.models.get("data") if isinstance(self.models, dict) else None
        return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


class Trap(NamedTuple):
    """One thing that an operator can set otherwise."""

    name: str
    """Unique among those of its kind; never changed, since people filter by it."""
    what: str
    """The trap in general."""
    do: str
    """What helps."""
    look: Callable[[Sight], str]
    """What is seen of it; empty: it is not so, or not told."""
    is_grave: bool = True
    """Costs requests, time or money; else it is good to know."""


def trap_id(kind: str, name: str) -> str:
    """What a finding of it is called."""
    return f"{kind}-{name}".replace("_", "-")


def whole(value: Any) -> int | None:
    """A whole number that is not negative, as JSON has it."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def crowded(running: float | None, waiting: float | None, kv_usage: float | None) -> str:
    """What is seen of an engine with few seats: requests wait while its memory is not used."""
    if not running or not waiting or kv_usage is None or kv_usage >= _ALMOST_EMPTY:
        return ""
    return f"{running:.0f} requests run and {waiting:.0f} wait, while {kv_usage:.0%} of its KV cache is in use"


def path_as_name(entries: Iterable[Mapping[str, Any]]) -> str:
    """What is seen of a model whose name is a folder of the engine's machine."""
    for entry in entries:
        name = entry.get("id")
        if isinstance(name, str) and name.startswith(("/", "./", "~")):
            return f"clients have to ask for {name[:64]}"
    return ""


def numbers(version: str) -> tuple[int, ...]:
    """`0.9.1rc2+cu12` → (0, 9, 1); empty for what begins with no number."""
    found: list[int] = []
    for part in version.lstrip("v").split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits or len(digits) > 6:
            break
        found.append(int(digits))
        if len(digits) < len(part):
            break
    return tuple(found)
