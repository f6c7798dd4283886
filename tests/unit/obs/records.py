"""Finished requests for the tests of `proxy.obs`."""

from typing import Any

from proxy.model.outcome import SERVED
from proxy.model.timeline import Timeline
from proxy.obs.record import Record
from proxy.wire.event import Event
from proxy.wire.meter import Meter
from proxy.wire.usage import Usage


def timeline(received: float = 100.0, **stages: float | None) -> Timeline:
    """Every stage reached, unless told otherwise."""
    line = Timeline(received)
    reached = {
        "understood": received + 0.001,
        "released": received + 0.003,
        "connected": received + 0.004,
        "first_byte": received + 0.1,
        "done": received + 2.0,
    }
    for name, at in {**reached, **stages}.items():
        setattr(line, name, at)
    return line


def meter(received: float = 100.0) -> Meter:
    """Two events with output."""
    seen = Meter()
    seen.saw(Event(b'data: {"choices":[{"text":"a"}]}\n\n'), received + 0.25)
    seen.saw(Event(b'data: {"choices":[{"text":"b"}]}\n\n'), received + 1.9)
    return seen


def record(**fields: Any) -> Record:
    """A served stream, unless told otherwise."""
    usual: dict[str, Any] = {
        "id": "req-1",
        "method": "POST",
        "path": "/v1/chat/completions",
        "endpoint": "chat.completions",
        "model_asked": "alias",
        "model_served": "model",
        "backend": "alpha",
        "attempts": 1,
        "status": 200,
        "stream": True,
        "body_bytes": 321,
        "outcome": SERVED,
        "timeline": timeline(),
        "usage": Usage(25, 8, 16),
        "traffic_class": "interactive",
        "token_source": "engine_usage",
        "meter": meter(),
        "resumed": 0,
        "tenant": "4ce9a0d1",
        "client": "192.0.2.7",
    }
    return Record(**{**usual, **fields})
