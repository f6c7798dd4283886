"""Handshakes as requests: which may, to which model, with which headers."""

import asyncio
from typing import Any

import pytest

from proxy.live.realtime import Early, Realtime
from proxy.live.tunnel import EARLY_B, Tunnels
from proxy.model.endpoint import Endpoint
from proxy.model.faults import FaultError, Kind
from proxy.model.realtime import RealtimeSettings
from proxy.wire.cors import Cors
from proxy.wire.headers import Head
from tests.support.heads import head
from tests.unit.live.test_tunnel import HELLO, Client, Wire


def realtime(*origins: str) -> tuple[Realtime, Tunnels]:
    tunnels = Tunnels()
    return Realtime(RealtimeSettings(connections=2), tunnels, Cors(origins), lambda: 0.0), tunnels


def asks(origin: str = "") -> Head:
    more = [("origin", origin)] if origin else []
    return head(*more, method="GET", target="/realtime?model=m", sec_websocket_key="k")


def test_it_is_a_request_with_the_headers_of_the_handshake() -> None:
    one, _ = realtime()
    asked = asks()
    request = one.request(asked)
    assert (request.endpoint, request.target, request.model) == (Endpoint.REALTIME, "/v1/realtime?model=m", "m")
    assert (b"upgrade", b"websocket") in asked.forward


def test_a_page_may_where_its_origin_is_named() -> None:
    one, tunnels = realtime("https://app")
    assert one.request(asks(origin="https://app")).model == "m"
    with pytest.raises(FaultError) as told:
        one.request(asks(origin="https://evil"))
    assert told.value.fault.kind is Kind.ORIGIN
    assert tunnels.refused == {"origin": 1}


def test_whose_it_is_counts() -> None:
    one, tunnels = realtime()
    whose = one.enter(asks())
    assert tunnels.open == 1
    one.leave(whose)
    assert tunnels.open == 0


def test_what_comes_too_early_waits_within_its_bound() -> None:
    client = Client()
    early = Early(client, b"a")
    assert client.tunnel is not None
    client.tunnel(b"b")
    assert early.taken() == b"ab"
    assert early.taken() == b""
    client.tunnel(b"x" * EARLY_B)
    assert client.is_aborted


class Switched:
    """A relay after the switch."""

    backend, body = "a", HELLO

    def __init__(self) -> None:
        self.engine = Wire()

    def hand_over(self, to: Any) -> tuple[Any, Any]:
        self.to = to
        return self.engine, self

    def connection_lost(self, exc: Exception | None) -> None:
        """The pool hears it."""


async def test_it_is_carried_from_what_the_engine_said_first_to_its_end() -> None:
    one, tunnels = realtime()
    client, relay = Client(), Switched()
    given: Any = relay
    running = asyncio.ensure_future(one.carry(client, given, Early(client, HELLO), "r"))
    await asyncio.sleep(0)
    assert (client.transport.got, relay.engine.got) == (HELLO, HELLO)
    relay.to.connection_lost(OSError())
    outcome = await running
    assert outcome.fault is not None
    assert outcome.fault.kind is Kind.CUT
    assert tunnels.ends == {"engine_lost": 1}
