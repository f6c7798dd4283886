"""Traced requests for the tests of what is sent to a collector."""

import random
from typing import Any

from proxy.obs.genai import Engine
from proxy.obs.record import Record
from proxy.wire.trace_context import Trace, Tracing
from tests.unit.obs.records import record, timeline

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
ENGINES = {"alpha": Engine("10.0.0.1", 8000, "vllm"), "beta": Engine("10.0.0.2", 8001, "llama_cpp")}.get


def begun(flags: str = "01") -> Trace:
    fields = {b"traceparent": f"00-{TRACE}-{PARENT}-{flags}".encode()}
    return Tracing(random.Random(1).getrandbits, 1.0).begin(fields)


def traced(flags: str = "01", refused: str = "", **fields: Any) -> Record:
    """A stream served at its second attempt: the first one was sent at 100.003, failed at 100.05."""
    trace, line = begun(flags), fields.pop("timeline", None) or timeline(released=100.06, connected=100.061)
    trace.sent("beta", 1, 100.003, ttft_s=0.2).end(100.05, "reset", line)
    trace.sent("alpha", 2, 100.06, held_s=0.01, ttft_s=0.25, in_flight=3)
    trace.finish(line, refused)
    return record(trace=trace, timeline=line, attempts=2, **fields)


def untried(refused: str = "", **fields: Any) -> Record:
    """One that no engine was asked for."""
    trace, line = begun(), fields.pop("timeline", None) or timeline(released=None)
    trace.finish(line, refused)
    return record(trace=trace, timeline=line, **{"backend": "", "model_served": "", "attempts": 0, **fields})
