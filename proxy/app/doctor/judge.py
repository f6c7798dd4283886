"""What was seen of an engine, and what it means. Pure: reads no clock, asks nobody."""

from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from proxy.app.doctor import rules
from proxy.app.doctor.finding import Finding, shown
from proxy.config.backend import BackendOptions
from proxy.config.diagnostics import Severity
from proxy.engines import listing
from proxy.engines.load import NOTHING, Reading, merged
from proxy.engines.registry import DIALECTS
from proxy.engines.trap import Sight, Trap, trap_id
from proxy.model.engine_facts import UNKNOWN, denied

SKEW_S: Final = 5.0
"""A `Date` header has whole seconds, and answers take some."""
_SHOWN_NAMES: Final = 5


class Seen(NamedTuple):
    """An engine that was asked."""

    kind: str | None
    status: int
    """Of its model list; 0: there was no answer, see `error`."""
    error: str
    models: Any
    date: str
    """Its `Date` header."""
    bodies: Mapping[str, bytes]
    """What its other routes said with status 200."""
    statuses: Mapping[str, int] = {}
    """Of those routes that answered."""
    version: str = ""
    goes_to: str = ""
    """Its `Location` header."""
    address: str = ""
    """Where it was reached; empty: not told."""
    is_certificate: bool = False
    """`error` is about its certificate."""


def of_engine(backend: BackendOptions, seen: Seen, now: float) -> Iterator[Finding]:
    """Of one backend; `now`: Unix time at its answer."""
    name = backend.name
    if not seen.status:
        return (yield (rules.CERTIFICATE if seen.is_certificate else rules.AWAY).found(name, seen.error))
    yield from _of_date(name, seen.date, now)
    if backend.api_key is not None and backend.url.startswith("http://") and _is_public(seen.address):
        yield rules.KEY_IN_CLEAR.found(name)
    if seen.status in (401, 403):
        return (yield rules.KEY.found(name, f"it answers {seen.status}"))
    if 300 <= seen.status < 400:
        return (yield rules.REDIRECTS.found(name, f"it answers {seen.status}, to {_place(seen.goes_to)}"))
    found = listing.read(seen.models) if seen.status == 200 else None
    if found is None:
        rule = rules.LIST_UNREAD if backend.models != "auto" else rules.NO_LIST
        return (yield rule.found(name, f"GET /v1/models answers {seen.status}, no list of models"))
    facts = told(seen).facts or UNKNOWN
    engine = " ".join(filter(None, (seen.kind or "unknown engine", seen.version or facts.version)))
    yield rules.SEEN.found(name, f"{engine}, serves {_some(sorted(found.names))}")
    yield from _of_names(backend, found.names, loose=seen.kind == "ollama")
    yield from _of_kind(backend, seen)
    if differing := denied(facts, backend.facts):
        text = "; ".join(f"the file says {n} {getattr(backend.facts, n)}, it {getattr(facts, n)}" for n in differing)
        yield rules.DENIED.found(name, text)
    yield from _of_traps(name, seen, now)


def told(seen: Seen) -> Reading:
    """What it tells of its load and of itself."""
    reading, dialect = NOTHING, DIALECTS.get(seen.kind or "")
    for source in dialect.loads if dialect is not None else ():
        if source.path in seen.bodies:
            reading = merged(reading, source.read(seen.bodies[source.path]))
    return reading


def of_trap(kind: str, where: str, trap: Trap, sight: Sight) -> Finding | None:
    """What is seen of one trap; None: nothing."""
    seen = trap.look(sight)
    severity = Severity.WARNING if trap.is_grave else Severity.NOTE
    return Finding(trap_id(kind, trap.name), severity, where, shown(seen), trap.do) if seen else None


def _of_traps(where: str, seen: Seen, now: float) -> Iterator[Finding]:
    dialect = DIALECTS.get(seen.kind or "")
    sight = Sight(seen.statuses, seen.bodies, seen.models, seen.version, now)
    for trap in () if dialect is None else dialect.traps:
        found = of_trap(dialect.kind, where, trap, sight) if dialect is not None else None
        if found is not None:
            yield found


def _of_date(name: str, date: str, now: float) -> Iterator[Finding]:
    try:
        skew = parsedate_to_datetime(date).timestamp() - now
    except (ValueError, OverflowError):
        return
    if abs(skew) > SKEW_S:
        yield rules.CLOCK_SKEW.found(
            name, f"its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"
        )


def _of_names(backend: BackendOptions, served: frozenset[str], *, loose: bool) -> Iterator[Finding]:
    known = served | {name.removesuffix(":latest") for name in served} if loose else served
    written = () if isinstance(backend.models, str) else backend.models
    for name in [name for name in written if name not in known and name not in backend.aliases][:_SHOWN_NAMES]:
        yield rules.NOT_LISTED.found(backend.name, f"it does not list the model {name}")
    for alias, name in [pair for pair in backend.aliases.items() if pair[1] not in known][:_SHOWN_NAMES]:
        yield rules.ALIAS.found(backend.name, f"alias {alias} leads to {name}, not listed")


def _of_kind(backend: BackendOptions, seen: Seen) -> Iterator[Finding]:
    if backend.kind != "auto" and seen.kind not in (None, backend.kind):
        yield rules.OTHER_KIND.found(backend.name, f"the file says {backend.kind}, it is {seen.kind}")


def _is_public(address: str) -> bool:
    try:
        return ip_address(address).is_global
    except ValueError:
        return False


def _place(location: str) -> str:
    """Without what may be secret."""
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.hostname}" if parts.hostname else "another path"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (", ".join(names[:3]) or "no model") + more
