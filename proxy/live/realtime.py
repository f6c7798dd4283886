"""Handshakes for a WebSocket: which may have a tunnel, to which model, and as what request they become a job.

    page of another origin ──▶ 403     too many ──▶ 429, 503     else a request that switches protocols, or the engine's
                                                                  own answer

Owns that order. The job of one is like any other: permits, health and retries before the switch are the scheduler's.
"""

import asyncio
import logging
from typing import Final

from proxy.live.relay import Relay
from proxy.live.tunnel import EARLY_B, Client, Tunnel, Tunnels
from proxy.model.endpoint import Endpoint
from proxy.model.faults import FaultError, Kind, downstream, internal, upstream
from proxy.model.outcome import TUNNELLED, Outcome, Phase, failed_with
from proxy.model.realtime import RealtimeSettings
from proxy.model.request import Request
from proxy.model.timeline import Clock
from proxy.wire import identity, routes, websocket
from proxy.wire.cors import Cors
from proxy.wire.headers import Head

_log = logging.getLogger("tidegate.realtime")
_CLEAN: Final = frozenset({"client", "engine"})


class Realtime:
    """One per configuration that wants any."""

    def __init__(self, settings: RealtimeSettings, tunnels: Tunnels, cors: Cors, clock: Clock) -> None:
        self._settings = settings
        self._tunnels = tunnels
        self._cors = cors
        self._clock = clock

    def request(self, head: Head) -> Request:
        """What a handshake asks; its headers are then those for the engine. FaultError for a page that may not."""
        if head.origin and not self._cors.allows(head.origin):  # no preflight comes before a WebSocket
            self._tunnels.refused["origin"] += 1
            text = "Pages of this origin may open no WebSocket here; cors.origins of the configuration names those."
            raise FaultError(downstream(Kind.ORIGIN, text))
        found = routes.route(head.target)
        head.forward = websocket.forwarded(head)
        return Request(
            head.request_id,
            head.method,
            found.target,
            Endpoint.REALTIME,
            websocket.model_in(found.target),
            client_timeout_s=head.client_timeout_s,
            traffic_class=head.traffic_class,
        )

    def enter(self, head: Head) -> bytes:
        """One more; what `leave` is to be told. FaultError where there are too many."""
        whose = identity.whose(head)
        self._tunnels.enter(whose, self._settings)
        return whose

    def leave(self, whose: bytes) -> None:
        """It is over."""
        self._tunnels.leave(whose)

    async def carry(self, client: Client, relay: Relay, early: "Early", request_id: str) -> Outcome:
        """From the switch to the end of both sides."""
        tunnel = Tunnel(client, self._settings, self._tunnels, self._clock)
        said = relay.body
        engine, side = relay.hand_over(tunnel)
        tunnel.begin(engine, said, early.taken(), side.connection_lost)
        backend = relay.backend
        try:
            await tunnel.run()
        except asyncio.CancelledError:
            if tunnel.end not in _CLEAN:  # else whoever left had said good-bye
                raise
        finally:
            _log.info(
                "tunnel of request %s to %s ended: %s; %d bytes from the client, %d to it",
                request_id,
                backend,
                tunnel.end or "client_lost",
                tunnel.from_client_b,
                tunnel.to_client_b,
            )
        if tunnel.end == "drain":
            return failed_with(internal(Kind.DRAINING, "Tidegate is shutting down."), Phase.STREAM)
        if tunnel.end == "engine_lost":
            return failed_with(upstream(Kind.CUT, f"Backend {backend} broke its WebSocket off."), Phase.STREAM)
        return TUNNELLED


class Early:
    """What a client sends before it knows that there is a tunnel."""

    def __init__(self, client: Client, first: bytes) -> None:
        self._client = client
        self._parts = [first] if first else []
        self._size_b = len(first)
        client.tunnel = self.took

    def took(self, data: bytes) -> None:
        """Some more."""
        self._parts.append(data)
        self._size_b += len(data)
        if self._size_b > EARLY_B:
            self._client.abort()

    def taken(self) -> bytes:
        """All of it, once."""
        parts, self._parts = self._parts, []
        return b"".join(parts)
