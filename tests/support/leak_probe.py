"""Nothing may be left behind: file descriptors, permits, held jobs, tasks and upstream connections as before.

A snapshot is taken when a proxy is ready; after every test each running proxy has to come back to it.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess

SETTLE_S = 3.0


@dataclass(frozen=True)
class Footprint:
    """What a proxy holds at one moment."""

    fds: int
    """Open descriptors without those of connections to engines."""
    upstream: int
    """Connections to engines, as the kernel counts them."""
    pooled: int
    """Connections to engines the proxy knows of: it keeps some for the next request."""
    tasks: int
    in_flight: int
    held: int
    open_requests: int
    """Requests the engines still work on."""


class Engine(Protocol):
    """Whatever stands behind a proxy."""

    port: int

    @property
    def open_requests(self) -> int:
        """Requests that it works on."""


class LeakProbe:
    """Watches one proxy and the engines behind it."""

    def __init__(self, proxy: ProxyProcess, backends: Sequence[Engine]) -> None:
        self.proxy = proxy
        self.backends = backends
        self._ports: set[int] = set()
        first = [self.footprint() for _ in range(3)]
        self._fds = max(footprint.fds for footprint in first)
        self._tasks = max(footprint.tasks for footprint in first)

    def footprint(self) -> Footprint:
        metrics = self.proxy.metrics()
        for name in ("tidegate_backend_in_flight", "tidegate_tasks", "tidegate_upstream_connections"):
            assert metrics.has(name), f"{name} is missing"
        self._ports |= {backend.port for backend in self.backends if backend.port}  # one that stopped keeps its port
        descriptors = [one for one in descriptors_of(self.proxy) if not self._is_our_own(one)]
        upstream = [descriptor for descriptor in descriptors if descriptor.remote_port in self._ports]
        return Footprint(
            len(descriptors) - len(upstream),
            len(upstream),
            int(metrics.total("tidegate_upstream_connections")),
            int(metrics.total("tidegate_tasks")),
            int(metrics.total("tidegate_backend_in_flight")),
            int(metrics.total("tidegate_held_jobs")),
            sum(backend.open_requests for backend in self.backends),
        )

    def assert_settled(self, within_s: float = SETTLE_S) -> None:
        """Fails when the proxy does not come back to its footprint in time."""
        if self.proxy.process.poll() is not None:
            return
        seen: list[Footprint] = []

        def settled() -> bool:
            seen.append(self.footprint())
            return self._is_settled(seen[-1])

        try:
            eventually(settled, "the proxy's footprint as before", within_s)
        except AssertionError as error:
            known = f"at start fds={self._fds} tasks={self._tasks}"
            open_now = [str(descriptor) for descriptor in descriptors_of(self.proxy)]
            raise AssertionError(
                f"left behind: {seen[-1]}, {known}; open: {open_now}; before: {seen[-4:-1]}, {len(seen)}"
            ) from error

    def _is_our_own(self, descriptor: "Descriptor") -> bool:
        """The connection that asked for the metrics is closed by a proxy when it comes to it."""
        return descriptor.local_port == self.proxy.admin_port and descriptor.remote_port != 0

    def _is_settled(self, now: Footprint) -> bool:
        idle = now.in_flight == 0 and now.held == 0 and now.open_requests == 0
        return idle and now.fds <= self._fds and now.tasks <= self._tasks and now.upstream <= now.pooled


@dataclass(frozen=True)
class Descriptor:
    """An open descriptor: a file, or the two ends of a TCP connection."""

    name: str
    local_port: int = 0
    remote_port: int = 0

    def __str__(self) -> str:
        return f"{self.local_port}→{self.remote_port}" if self.local_port else self.name


def descriptors_of(proxy: ProxyProcess) -> Iterator[Descriptor]:
    """What a proxy has open."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ports = {f"socket:[{row[9]}]": (_port(row[1]), _port(row[2])) for row in rows}
    for entry in Path(f"/proc/{proxy.process.pid}/fd").iterdir():
        try:
            name = os.readlink(entry)
        except FileNotFoundError:  # closed meanwhile
            continue
        yield Descriptor(name, *ports.get(name, (0, 0)))


def _port(address: str) -> int:
    return int(address.partition(":")[2], 16)
