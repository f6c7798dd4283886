"""One attempt, where something happens between its steps."""

from time import monotonic

from proxy.live.attempt import Caller
from proxy.live.call import Call
from proxy.live.relay import Relay
from proxy.live.tokenizers import Tokenizers
from proxy.model.classes import StreamSettings
from proxy.model.endpoint import Endpoint
from proxy.model.faults import Kind, internal
from proxy.model.limits import UpstreamLimits
from proxy.model.request import Job, Request
from proxy.model.timeline import Timeline
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan
from tests.support.route_engine import RouteEngine
from tests.unit.live.standins import connected, pool
from tests.unit.live.test_job import Bed


async def test_an_attempt_cut_while_it_connects_closes_what_it_got() -> None:
    """Nobody else knows of that connection."""
    to = pool()
    connection, transport = connected(to)
    line, meter = Timeline(monotonic()), Meter()
    request = Request("r", "POST", "/v1/chat/completions", Endpoint.CHAT, "m")
    call = Call(request, Job(1, "m"), [], b"", StreamSettings(), line, meter)
    relay = Relay("alpha", StreamPlan(StreamSettings(), 1), 1, line, meter, to._loop, monotonic)
    nowhere = RouteEngine({})
    nowhere.url = "http://127.0.0.1:9"
    caller = Caller(Bed({"a": nowhere}).scheduler, Tokenizers({}), UpstreamLimits(), to._loop, monotonic)
    relay.on_fault(internal(Kind.DRAINING, "enough"))
    await caller._send(relay, connection, b"GET / HTTP/1.1\r\n\r\n", call)
    assert (transport.closed, transport.written) == (True, b"")
    connection.connection_lost(None)
    assert to.open_connections == 0
