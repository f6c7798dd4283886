"""What was seen around a proxy, and what it means. Pure: reads no clock, asks nobody."""

from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from proxy.config.backend import BackendOptions
from proxy.config.diagnostics import Severity
from proxy.engines import listing
from proxy.engines.registry import DIALECTS

SKEW_S: Final = 5.0
"""A `Date` header has whole seconds, and answers take some."""
_EARLIEST: Final = 1_735_689_600
"""2025: a clock before it was never set."""
_SLOW_NAME_S: Final = 0.5
_SLOW_REMOTE_S: Final = 0.005
"""Where requests go on without it."""
_SHOWN_NAMES: Final = 5


class Found(NamedTuple):
    """One finding."""

    severity: Severity
    about: str
    """Its group: a backend's name, or a part of this machine."""
    seen: str
    do: str = ""
    """What helps; empty for what is right."""


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
    resolved_s: float = 0.0
    version: str = ""


def of_descriptors(needed: int, allowed: int) -> Found:
    """`needed`: for the connections configured."""
    if allowed >= needed:
        return Found(Severity.NOTE, "machine", f"{allowed} descriptors allowed, {needed} needed")
    seen = f"{allowed} descriptors allowed, {needed} needed"
    return Found(Severity.WARNING, "machine", seen, f"ulimit -n {needed}, or LimitNOFILE={needed} in systemd")


def of_clock(now: float) -> Iterator[Found]:
    """`now`: Unix time."""
    if now < _EARLIEST:
        yield Found(Severity.ERROR, "machine", "the clock was never set", "switch on NTP: timedatectl set-ntp true")


def of_engine(backend: BackendOptions, seen: Seen, now: float) -> Iterator[Found]:
    """Of one backend; `now`: Unix time at its answer."""
    if not seen.status:
        return (yield Found(Severity.ERROR, backend.name, seen.error, "start the engine, or correct `url` or `tls`"))
    if seen.resolved_s > _SLOW_NAME_S:
        slow = f"its name took {seen.resolved_s:.1f} s to resolve"
        yield Found(Severity.WARNING, backend.name, slow, "use a nearer resolver, or its address")
    yield from _of_date(backend.name, seen.date, now)
    if seen.status in (401, 403):
        return (yield Found(Severity.ERROR, backend.name, f"it answers {seen.status}", "give its key as `api_key`"))
    found = listing.read(seen.models) if seen.status == 200 else None
    if found is None:
        seen_list = f"GET /v1/models answers {seen.status}, no list of models"
        severity = Severity.WARNING if backend.models != "auto" else Severity.ERROR
        return (yield Found(severity, backend.name, seen_list, "wait until it is loaded, or correct `url`"))
    name = " ".join(filter(None, (seen.kind or "unknown engine", seen.version)))
    yield Found(Severity.NOTE, backend.name, f"{name}, serves {_some(sorted(found.names))}")
    yield from _of_names(backend, found.names, loose=seen.kind == "ollama")
    yield from _of_kind(backend, seen)
    dialect = DIALECTS.get(seen.kind or "")
    for trap in dialect.traps(seen.bodies) if dialect is not None and dialect.traps is not None else ():
        yield Found(Severity.WARNING, backend.name, trap.seen, trap.do)


def _of_date(name: str, date: str, now: float) -> Iterator[Found]:
    try:
        skew = parsedate_to_datetime(date).timestamp() - now
    except (ValueError, OverflowError):
        return
    if abs(skew) > SKEW_S:
        seen = f"its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"
        yield Found(Severity.WARNING, name, seen, "switch on NTP on both machines")


def _of_names(backend: BackendOptions, served: frozenset[str], *, loose: bool) -> Iterator[Found]:
    known = served | {name.removesuffix(":latest") for name in served} if loose else served
    written = () if isinstance(backend.models, str) else backend.models
    for name in [name for name in written if name not in known and name not in backend.aliases][:_SHOWN_NAMES]:
        yield Found(Severity.ERROR, backend.name, f"it does not list the model {name}", "correct `models`, or load it")
    for alias, name in [pair for pair in backend.aliases.items() if pair[1] not in known][:_SHOWN_NAMES]:
        yield Found(Severity.ERROR, backend.name, f"alias {alias} leads to {name}, not listed", "correct `aliases`")


def _of_kind(backend: BackendOptions, seen: Seen) -> Iterator[Found]:
    if backend.kind != "auto" and seen.kind not in (None, backend.kind):
        yield Found(Severity.WARNING, backend.name, f"the file says {backend.kind}, it is {seen.kind}", "kind: auto")


def of_remote(latency_s: float | None, error: str = "") -> Found:
    """Of the second level of the cache; None: it did not answer."""
    if latency_s is None:
        return Found(Severity.ERROR, "cache.remote", error, "start it, or correct `cache.remote`")
    seen = f"connects in {latency_s * 1000:.1f} ms"
    if latency_s > _SLOW_REMOTE_S:
        return Found(Severity.WARNING, "cache.remote", seen, "use one that is nearer")
    return Found(Severity.NOTE, "cache.remote", seen)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return (", ".join(names[:3]) or "no model") + more
