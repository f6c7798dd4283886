"""Nothing may be left behind: file descriptors, permits, held jobs, tasks and upstream connections as before.

A snapshot is taken when a proxy is ready; after every test each running proxy has to come back to it.
"""

from dataclasses import dataclass

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
            raise AssertionError(f"left behind: {seen[-1]}, at start fds={self._fds} tasks={self._tasks}") from error

    def _is_settled(self, now: Footprint) -> bool:
        idle = now.in_flight == 0 and now.held == 0 and now.open_requests == 0
        return idle and now.fds <= self._fds and now.tasks <= self._tasks
