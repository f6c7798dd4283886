"""This machine as it is around a proxy, and what of it is wrong.

`look` reads it; `of_machine` judges what was read, and is pure.
"""

import ctypes
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import TZPATH

from proxy.app import descriptors
from proxy.app.doctor import rules
from proxy.app.doctor.finding import Finding
from proxy.app.listeners import BACKLOG
from proxy.config.schema import Config

_WHERE: Final = "machine"
_EARLIEST: Final = 1_735_689_600
"""2025: a clock before it was never set."""
_UNSYNCHRONISED: Final = 5
"""TIME_ERROR of adjtimex(2)."""
_TIMEX_B: Final = 512
"""More than the kernel writes."""
_SWAP_B: Final = 256 << 20
_PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy")
_LOOPBACK: Final = ("localhost", "127.0.0.1")


class Machine(NamedTuple):
    """What was read; None: it does not tell."""

    now: float
    """Unix time."""
    wanted: int
    """Descriptors, for the connections configured."""
    allowed: int
    clients: int
    """Connections of clients at most."""
    places: int | None
    """Requests that all engines together are sent at once at most; None: as many as come."""
    upstream: int = 1 << 30
    """Connections to engines that may be open."""
    wanted_for_places: int = 0
    """Descriptors with which as many may be open as there are places."""
    is_synchronised: bool | None = None
    backlog: int | None = None
    """Connections that may wait to be taken."""
    cores: float | None = None
    """Of CPU time that this process may have; None: no quota."""
    proxy_variables: tuple[str, ...] = ()
    """Names of those that send clients on this machine elsewhere, even for loopback."""
    unknown_zone: str = ""
    swapped_b: int | None = None


def look(config: Config, environ: Mapping[str, str], root: Path = Path("/")) -> Machine:
    """As it is now; raises the process's own limit of descriptors as `serve` does. `root`: where /proc and /sys are."""
    places = [backend.max_concurrency for backend in config.backends]
    clients, engines = config.limits.connections.max, len(config.backends)
    others = descriptors.of_second_level(config.cache)
    wanted = descriptors.needed(clients, engines, others)
    allowed = descriptors.raise_limit(wanted)
    total = None if None in places else sum(place or 0 for place in places)
    return Machine(
        now=time.time(),
        wanted=wanted,
        allowed=allowed,
        clients=clients,
        places=total,
        upstream=descriptors.shared(allowed, clients, engines, others).upstream,
        wanted_for_places=descriptors.needed(total or 0, engines, others),
        is_synchronised=_is_synchronised(),
        backlog=_number(root / "proc/sys/net/core/somaxconn"),
        cores=_quota(root),
        proxy_variables=_in_the_way(environ),
        unknown_zone=_unknown_zone(environ.get("TZ", "")),
        swapped_b=_swapped(root),
    )


def of_machine(machine: Machine) -> Iterator[Finding]:
    """What is right and wrong with it."""
    told = f"{machine.allowed} descriptors allowed, {machine.wanted} needed"
    if machine.allowed < machine.wanted:
        do = f"ulimit -n {machine.wanted}, or LimitNOFILE={machine.wanted} in systemd"
        yield rules.FEW_DESCRIPTORS.found(_WHERE, told, do)
    else:
        yield rules.DESCRIPTORS.found(_WHERE, told)
    if machine.places is not None and machine.places > machine.clients:
        text = f"engines run {machine.places} requests at once, clients have {machine.clients} connections"
        do = f"limits.connections.max: {machine.places}, or a lower max_concurrency"
        yield rules.FEW_CONNECTIONS.found(_WHERE, text, do)
    if machine.places is not None and machine.places > machine.upstream:
        text = f"engines run {machine.places} requests at once, {machine.upstream} connections to them may be open"
        do = f"ulimit -n {machine.wanted_for_places}, or LimitNOFILE={machine.wanted_for_places} in systemd"
        yield rules.FEW_FOR_ENGINES.found(_WHERE, text, do)
    if machine.now < _EARLIEST:
        yield rules.CLOCK_UNSET.found(_WHERE)
    elif machine.is_synchronised is False:
        yield rules.CLOCK_FREE.found(_WHERE)
    if machine.backlog is not None and machine.backlog < BACKLOG:
        text = f"{machine.backlog} connections may wait to be taken, {BACKLOG} are wanted"
        yield rules.SOMAXCONN.found(_WHERE, text, f"sysctl -w net.core.somaxconn={BACKLOG}")
    if machine.cores is not None and machine.cores < 1:
        pause_ms = 100 * (1 - machine.cores)
        yield rules.CPU_QUOTA.found(
            _WHERE, f"{machine.cores:g} of a core: it may stand still for {pause_ms:.0f} of 100 ms"
        )
    if machine.proxy_variables:
        names = " and ".join(machine.proxy_variables)
        verb = "sends" if len(machine.proxy_variables) == 1 else "send"
        yield rules.PROXY_VARIABLES.found(_WHERE, f"{names} {verb} clients elsewhere, even for localhost")
    if machine.unknown_zone:
        yield rules.TIME_ZONE.found(_WHERE, f"TZ={machine.unknown_zone} is no zone here: times are UTC")
    if machine.swapped_b is not None and machine.swapped_b > _SWAP_B:
        yield rules.SWAPPED.found(_WHERE, f"{machine.swapped_b >> 20} MiB of swap are in use")


def _is_synchronised() -> bool | None:
    """As the kernel has it, which is the host's."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_B))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _UNSYNCHRONISED


def _quota(root: Path) -> float | None:
    """Of the control group, or of one above it, whichever is least."""
    least: float | None = None
    for folder in _groups(root):
        words = _text(folder / "cpu.max").split()
        if not words:
            words = [_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")]
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]):
            cores = int(words[0]) / int(words[1])
            least = cores if least is None else min(least, cores)
    return least


def _groups(root: Path) -> Iterator[Path]:
    """Folders of the control group with the CPU, innermost first; of both versions."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        kinds, _, name = rest.partition(":")
        if number == "0" and not kinds:
            top = root / "sys/fs/cgroup"
        elif "cpu" in kinds.split(","):
            top = root / "sys/fs/cgroup/cpu"
        else:
            continue
        own = top / name.lstrip("/")
        yield from (folder for folder in (own, *own.parents) if folder == top or top in folder.parents)


def _in_the_way(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Never their values: these may hold a password."""
    excepted = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    names = [name.strip().lower() for name in excepted.split(",")]
    if "*" in names or all(name in names for name in _LOOPBACK):
        return ()
    return tuple(name for one in _PROXIES for name in (one, one.upper()) if environ.get(name))


def _unknown_zone(zone: str) -> str:
    """What `TZ` says, where the C library cannot find it and takes UTC without a word."""
    name = zone.removeprefix(":")
    if not name or any(c.isdigit() or c in "<,+" for c in name.replace("/", "")):
        return ""  # none, or a rule as POSIX writes it
    places = [Path(name)] if name.startswith("/") else [Path(folder, name) for folder in TZPATH]
    is_there = any(place.is_file() for place in places) or name in ("UTC", "GMT")
    return "" if is_there else name[:64]


def _swapped(root: Path) -> int | None:
    lines = dict(line.split(":", 1) for line in _text(root / "proc/meminfo").splitlines() if ":" in line)
    try:
        total, free = (int(lines[name].split()[0]) for name in ("SwapTotal", "SwapFree"))
    except (KeyError, ValueError, IndexError):
        return None
    return (total - free) * 1024


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
