"""On what terms clients are read: limits, the headers that pass, memory, and who may come in."""

from collections.abc import Callable

from proxy.live.downstream.budget import Budget
from proxy.model.limits import Limits
from proxy.wire.headers import Head, HeaderPolicy


class Terms:
    """What all readers share. `clock`: seconds for which this process has run. Limits and policy of another
    configuration hold for the next request of every connection."""

    __slots__ = ("budget", "clock", "gate", "limits", "new_id", "policy", "tunnels", "uploads")

    def __init__(
        self,
        limits: Limits,
        policy: HeaderPolicy,
        new_id: Callable[[], str],
        budget: Budget,
        clock: Callable[[], float],
        gate: Callable[[Head, str], None] | None = None,
        uploads: Callable[[Head], bool] | None = None,
    ) -> None:
        """`gate`: lets a head in that came from an address, or raises FaultError; None: everybody may come in.
        `uploads`: whose body is taken piece by piece; None: nobody's."""
        self.limits = limits
        self.policy = policy
        self.new_id = new_id
        self.budget = budget
        self.clock = clock
        self.gate = gate
        self.uploads = uploads
        self.tunnels = False
        """WebSockets may be had, on their one route."""
