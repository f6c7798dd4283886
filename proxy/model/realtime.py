"""WebSockets at `/v1/realtime`: how many, for how long, and how much."""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

from proxy.model.bounds import Bounds, Count, Duration, Size
from proxy.model.units import GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeSettings:
    """WebSockets at `/v1/realtime`, each tunnelled to one backend; `connections` switches them on."""

    connections: Annotated[int, Bounds(ge=0)] = 0
    """At once; each holds a place of its backend as long as it is open. 0: there is no WebSocket here, and whoever
    tries one is told so at once (426), as on all other routes. Pages of other origins need `cors.origins`."""
    per_tenant: Count = 8
    """Of them, for one tenant (whoever shows no key is one, too)."""
    idle: Duration = 300.0
    """Closed when neither side has sent a byte for so long."""
    life: Duration = 3600.0
    """Closed after so long, as OpenAI does."""
    size: Size = 1 * GIB
    """Bytes both ways together, after which it is closed. An hour of speech in both directions is about 700 MiB."""


class RealtimeView(NamedTuple):
    """At one moment."""

    open: int
    """Tunnels,"""
    most: int
    """of so many."""
    from_clients_b: int
    to_clients_b: int
    """Since the start, of those that are open too."""
    ends: dict[str, int]
    """Tunnels that are over, by how they ended: client, engine, idle, life, size, drain, engine_lost, client_lost."""
    refused: dict[str, int]
    """Handshakes that got no tunnel: full, tenant, origin."""
