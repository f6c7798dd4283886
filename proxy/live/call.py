"""What all attempts of one request share.

Its constructor is written out: one that `dataclass` makes stays interpreted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proxy.live.relay import Relay
from proxy.model.classes import StreamSettings
from proxy.model.request import Job, Request
from proxy.model.timeline import Timeline
from proxy.wire.batching import Part
from proxy.wire.meter import Meter
from proxy.wire.tap import Tap
from proxy.wire.trace_context import Trace


@dataclass(slots=True, init=False)
class Call:
    """What all attempts of one request share."""

    request: Request
    job: Job
    headers: list[tuple[bytes, bytes]]
    body: bytes
    settings: StreamSettings
    timeline: Timeline
    meter: Meter
    stream_options: Any = None
    """As the body has them."""
    part: Part | None = None
    """What it adds to a call of several; None: it goes alone."""
    tap: Callable[[Relay], Tap] | None = None
    """Makes what holds an answer that may be kept; None: it may not."""
    trace: Trace | None = None
    """None: there is no telemetry."""
    named: str = ""
    """Its tenant, where the configuration names it; empty: it has none, or one known by its key."""
    has_whole_form: bool = False
    """Its answer in one piece is not what its stream amounts to, as was seen: it is asked for in one piece."""

    def __init__(
        self,
        request: Request,
        job: Job,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        settings: StreamSettings,
        timeline: Timeline,
        meter: Meter,
        stream_options: Any = None,
        part: Part | None = None,
        tap: Callable[[Relay], Tap] | None = None,
        trace: Trace | None = None,
        named: str = "",
        has_whole_form: bool = False,
    ) -> None:
        self.request = request
        self.job = job
        self.headers = headers
        self.body = body
        self.settings = settings
        self.timeline = timeline
        self.meter = meter
        self.stream_options = stream_options
        self.part = part
        self.tap = tap
        self.trace = trace
        self.named = named
        self.has_whole_form = has_whole_form
