"""Finished requests for the tests of `proxy.obs`."""

from typing import Any

from proxy.model.outcome import SERVED
from proxy.model.timeline import Timeline
from proxy.obs.record import Record
from proxy.wire.usage import Usage


def timeline(received: float = 100.0, **stages: float | None) -> Timeline:
    """Every stage reached, unless told otherwise."""
    line = Timeline(received)
    reached = {
        "understood": received + 0.001,
        "released": received + 0.003,
        "connected": received + 0.004,
        "first_byte": received + 0.1,
        "first_token": received + 0.25,
        "last_token": received + 1.9,
        "done": received + 2.0,
    }
    for name, at in {**reached, **stages}.items():
        setattr(line, name, at)
    return line


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
    }
    return Record(**{**usual, **fields})
