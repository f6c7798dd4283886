"""A part of an answer is a whole answer to whoever gets it."""

import asyncio

from proxy.live.relay import Relay
from proxy.live.slice import Slice
from proxy.model.classes import StreamSettings
from proxy.model.timeline import Timeline
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan
from proxy.wire.usage import NO_USAGE, Usage

BODY = b'{"data":[],"usage":{"prompt_tokens":3,"total_tokens":3}}'


async def test_its_head_is_the_engines_and_its_usage_its_own() -> None:
    loop = asyncio.get_running_loop()
    relay = Relay("a", StreamPlan(StreamSettings(), 1 << 20), 1 << 20, Timeline(0.0), Meter(), loop, loop.time)
    relay.on_head(200, [(b"content-type", b"application/json")], 1.0)
    part = Slice(relay, BODY)
    assert (part.backend, part.status, part.headers) == ("a", 200, [(b"content-type", b"application/json")])
    assert (part.complete, part.events, part.fault) == (True, None, None)
    assert part.usage() == Usage(3)
    assert Slice(relay, BODY, counted=True).usage() == NO_USAGE
