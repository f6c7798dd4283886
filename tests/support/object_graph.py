"""What can be reached from an object, as plain values by the way to them: so that two of a kind can be compared.

Follows attributes of the product's own classes (compiled ones too) and of containers; leaves out what has no value of
its own: functions, tasks, loops, locks.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from pydantic import SecretStr

_PLAIN = (str, bytes, int, float, bool, type(None))
_SLOT = ("member_descriptor", "getset_descriptor")


def values(root: Any, skip: tuple[type, ...] = ()) -> dict[str, Any]:
    """Shortest way → value. An object is entered once, and those of the types in `skip` never."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    waiting: deque[tuple[str, Any]] = deque([("", root)])
    while waiting:
        way, one = waiting.popleft()
        if isinstance(one, Enum):
            found[way] = one.value
        elif isinstance(one, SecretStr):
            found[way] = one.get_secret_value()
        elif isinstance(one, IPv4Network | IPv6Network):
            found[way] = str(one)
        elif isinstance(one, _PLAIN):
            found[way] = one
        elif id(one) not in seen and not isinstance(one, skip):
            seen.add(id(one))
            waiting.extend((f"{way}{name}", below) for name, below in _below(one))
    return found


def _below(one: Any) -> list[tuple[str, Any]]:
    if isinstance(one, Mapping):
        return [(f"[{key!r}]" if isinstance(key, _PLAIN) else f"[{type(key).__name__}]", one[key]) for key in list(one)]
    if isinstance(one, AbstractSet):
        return [("{}", sorted(map(repr, one)).__repr__())] if all(isinstance(x, _PLAIN) for x in one) else []
    if isinstance(one, Sequence) and not hasattr(one, "_fields"):
        return [(f"[{place}]", below) for place, below in enumerate(one)]
    if not type(one).__module__.startswith("proxy."):
        return []
    return [(f".{name}", below) for name, below in sorted(_attributes(one).items())]


def _attributes(one: Any) -> dict[str, Any]:
    found = dict(getattr(one, "__dict__", {}))
    if hasattr(one, "_fields"):
        found |= one._asdict()
    for name in dir(type(one)):
        if not name.startswith("__") and type(getattr(type(one), name, None)).__name__ in _SLOT:
            try:
                found[name] = getattr(one, name)
            except AttributeError:
                continue
    return found
