"""Nothing may be left behind: file descriptors, permits, held jobs, tasks and upstream connections as before.

A snapshot is taken when a proxy is ready; after every test each running proxy has to come back to it.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from tests.support.fake_backend import FakeBackend
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess

SETTLE_S = 3.0


@dataclass(frozen=True)
class Footprint:
    """What a proxy holds at one moment."""

    fds: int
    """Open descriptors without those of pooled upstream connections, which may live on."""
    tasks: int
    in_flight: int
    held: int
    open_requests: int
    """Requests the backends still work on."""


class LeakProbe:
    """Watches one proxy and the backends behind it."""

    def __init__(self, proxy: ProxyProcess, backends: list[FakeBackend]) -> None:
        self.proxy = proxy
        self.backends = backends
        first = [self.footprint() for _ in range(3)]
        self._fds = max(footprint.fds for footprint in first)
        self._tasks = max(footprint.tasks for footprint in first)

    def footprint(self) -> Footprint:
        metrics = self.proxy.metrics()
        for name in ("tidegate_backend_in_flight", "tidegate_tasks"):
            assert metrics.has(name), f"{name} is missing"
        pooled = sum(backend.open_connections for backend in self.backends)
        return Footprint(
            self.proxy.open_fds() - pooled,
            int(metrics.total("tidegate_tasks")),
            int(metrics.total("tidegate_backend_in_flight")),
            int(metrics.total("tidegate_held_jobs")),
            sum(backend.open_requests for backend in self.backends),
        )

    def assert_settled(self) -> None:
        """Fails when the proxy does not come back to its footprint."""
        if self.proxy.process.poll() is not None:
            return
        seen: list[Footprint] = []

        def settled() -> bool:
            seen.append(self.footprint())
            return self._is_settled(seen[-1])

        try:
            eventually(settled, "the proxy's footprint as before", SETTLE_S)
        except AssertionError as error:
            known = f"at start fds={self._fds} tasks={self._tasks}"
            raise AssertionError(f"left behind: {seen[-1]}, {known}; {descriptors(self.proxy)}") from error

    def _is_settled(self, now: Footprint) -> bool:
        idle = now.in_flight == 0 and now.held == 0 and now.open_requests == 0
        return idle and now.fds <= self._fds and now.tasks <= self._tasks


def descriptors(proxy: ProxyProcess) -> list[str]:
    """What each open descriptor of a proxy is: a file, or the two ends and the state of a TCP connection."""
    folder = Path(f"/proc/{proxy.process.pid}/fd")
    names = [os.readlink(entry) for entry in folder.iterdir()]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]": f"{_port(row[1])}→{_port(row[2])} state {row[3]}" for row in rows}
    ports = f"listens on {proxy.port}, admin {proxy.admin_port}"
    return [ports, *(sockets.get(name, name) for name in names)]


def _port(address: str) -> int:
    return int(address.partition(":")[2], 16)
