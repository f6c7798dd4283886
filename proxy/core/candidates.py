"""The backends that can serve the same names, and which of them may be used now.

Owns the panic rule: ejection is ignored when too few are healthy, so it never leaves a model without a backend.
"""

from collections.abc import Sequence
from typing import Final

from proxy.core.backend import Backend
from proxy.core.health import State
from proxy.core.reserve import Reserve

MIN_RETRY_AFTER_S: Final = 1.0
MAX_RETRY_AFTER_S: Final = 60.0


class Candidates:
    """Models served by the same backends share one."""

    __slots__ = ("backends", "healthy", "open", "panic", "reserve")

    def __init__(self, backends: Sequence[Backend]) -> None:
        self.backends = tuple(backends)
        self.open = self.backends
        """Those that may get traffic; never empty, in the order of the configuration."""
        self.healthy = len(self.backends)
        self.panic = False
        self.reserve = Reserve()

    def reopen(self, panic_threshold: float) -> None:
        """Look at everybody's health again."""
        self.healthy = sum(b.health.state is State.HEALTHY for b in self.backends)
        self.panic = not self.healthy or self.healthy < panic_threshold * len(self.backends)
        self.open = self.backends if self.panic else tuple(b for b in self.backends if b.health.takes_traffic)

    def includes(self, backend: Backend) -> bool:
        """Whether a member may get traffic now."""
        return self.panic or backend.health.takes_traffic

    def wait_s(self, ahead: int) -> float:
        """Seconds until so many jobs have gone before, by what the permits served lately: advice for Retry-After."""
        rate = sum(b.limit / b.service_s for b in self.open if b.service_s)
        return min(MAX_RETRY_AFTER_S, max(MIN_RETRY_AFTER_S, ahead / rate)) if rate else MIN_RETRY_AFTER_S
