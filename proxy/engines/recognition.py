"""Which engine answers: from its model list and headers, and where these do not tell, from one more route of its own.

Owns the order of the signs, which stand in each engine's file. Whatever is not a sign reads as "not told": a wrong
guess costs more than none.
"""

from typing import Any, Final, NamedTuple

from proxy.engines.base import Sign
from proxy.engines.registry import DIALECTS

_HOSTS: Final = {host: dialect.kind for dialect in DIALECTS.values() for host in dialect.hosts}
_OWNERS: Final = {owner: dialect.kind for dialect in DIALECTS.values() for owner in dialect.owners}


class Question(NamedTuple):
    """What to ask an engine that may be of a kind."""

    kind: str
    sign: Sign

    @property
    def path(self) -> str:
        """The route."""
        return self.sign.path

    def reads(self, body: bytes) -> str | None:
        """The kind of engine from the body of a 200."""
        return self.kind if self.sign.reads(body) else None


def by_host(host: str) -> str | None:
    """The kind that alone has this host name in its URL; None: it may be anybody."""
    return _HOSTS.get(host.lower())


def recognise(models: Any, server_header: str) -> str | None:
    """The kind of engine from its answer to `GET /v1/models` (parsed) and its `Server` header; None: not told."""
    for dialect in DIALECTS.values():
        if dialect.server and dialect.server in server_header:
            return dialect.kind
    return next((kind for entry in _entries(models) if (kind := _kind_of(entry)) is not None), None)


def signs(models: Any, server_header: str) -> tuple[Question, ...]:
    """What else to ask an engine that was not recognised: of one kind that it may be, or nothing."""
    names = [entry.get("id") for entry in _entries(models)]
    for kind, dialect in DIALECTS.items():
        sign = dialect.sign
        if sign is not None and sign.is_worth_asking(names, server_header):
            return (Question(kind, sign),)
    return ()


def look(models: Any, server_header: str) -> tuple[str, frozenset[str]]:
    """What changes when another engine answers: its header and the owners of its models."""
    owners = (entry.get("owned_by") for entry in _entries(models))
    return server_header, frozenset(owner for owner in owners if isinstance(owner, str))


def _kind_of(entry: dict[str, Any]) -> str | None:
    owner = entry.get("owned_by")
    if isinstance(owner, str) and owner in _OWNERS:
        return _OWNERS[owner]
    for kind, dialect in DIALECTS.items():
        if dialect.is_entry is not None and dialect.is_entry(entry):
            return kind
    return None


def _entries(models: Any) -> list[dict[str, Any]]:
    entries = models.get("data") if isinstance(models, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
