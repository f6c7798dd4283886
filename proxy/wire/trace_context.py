"""Where a request stands in a trace (W3C trace context): what its client said, what engines are told, what was tried.

Owns the two headers. A client's sampling decision is respected, and a header that is none starts a new trace, as the
standard wants. Of a request that is not sampled the client's own headers go on as they came.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from proxy.model.timeline import Timeline

_PARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z")
_SAMPLED: Final = 1
_NO_TRACE: Final = "0" * 32
_NO_SPAN: Final = "0" * 16
_MAX_ATTEMPTS: Final = 64
"""Remembered of one request; the scheduler allows far fewer."""
LOST: Final = "lost"
"""The end of an attempt beside another one that was faster."""
PREEMPTED: Final = "preempted"
"""The end of one whose place another request needed."""

Headers = list[tuple[bytes, bytes]]
Bits = Callable[[int], int]
"""That many random bits; `random.Random.getrandbits`."""


class TracedAttempt:
    """One call to one backend. Monotonic seconds; None: never reached."""

    __slots__ = (
        "backend",
        "connected",
        "end_reason",
        "ended",
        "first_byte",
        "hedge",
        "held_s",
        "in_flight",
        "number",
        "sent",
        "span_id",
        "ttft_s",
        "way",
    )

    def __init__(
        self,
        span_id: str,
        backend: str,
        number: int,
        sent: float,
        *,
        hedge: bool = False,
        held_s: float = 0.0,
        ttft_s: float = 0.0,
        in_flight: int = 0,
        way: str = "",
    ) -> None:
        self.span_id = span_id
        self.backend = backend
        self.number = number
        self.sent = sent
        self.hedge = hedge
        self.held_s = held_s
        """Seconds it waited here before."""
        self.ttft_s = ttft_s
        """Predicted from here to the first token; 0: nothing was."""
        self.in_flight = in_flight
        self.way = way
        """Served otherwise than asked for, and how."""
        self.connected: float | None = None
        self.first_byte: float | None = None
        self.ended: float | None = None
        self.end_reason = ""
        """Why it brought no answer, in one word; empty: it has the answer, or its client left."""

    def end(self, now: float, reason: str, line: Timeline) -> None:
        """It is over; `line` has its times."""
        if self.ended is not None:
            return
        self.ended, self.end_reason = now, reason
        if line.connected is not None and line.connected >= self.sent:
            self.connected = line.connected
        if line.first_byte is not None and line.first_byte >= self.sent:
            self.first_byte = line.first_byte


class Trace:
    """One request's. Ids are lower-case hex."""

    __slots__ = ("_bits", "_came", "attempts", "is_sampled", "parent_id", "reason", "span_id", "state", "trace_id")

    def __init__(self, bits: Bits, trace_id: str, parent_id: str, state: bytes, *, is_sampled: bool) -> None:
        self._bits = bits
        self._came = bool(parent_id)
        self.trace_id = trace_id
        self.parent_id = parent_id
        """Empty: the trace begins here."""
        self.span_id = _hex(bits, 64)
        """Of the request here."""
        self.state = state
        """`tracestate`, as it came."""
        self.is_sampled = is_sampled
        self.attempts: list[TracedAttempt] = []
        self.reason = ""
        """Why it was refused, in one word."""

    def sent(
        self,
        backend: str,
        number: int,
        now: float,
        *,
        hedge: bool = False,
        held_s: float = 0.0,
        ttft_s: float = 0.0,
        in_flight: int = 0,
        way: str = "",
    ) -> TracedAttempt:
        """A new attempt."""
        attempt = TracedAttempt(
            self.new_id(),
            backend,
            number,
            now,
            hedge=hedge,
            held_s=held_s,
            ttft_s=ttft_s,
            in_flight=in_flight,
            way=way,
        )
        if len(self.attempts) < _MAX_ATTEMPTS:
            self.attempts.append(attempt)
        return attempt

    def new_id(self) -> str:
        """Of another span of this trace."""
        return _hex(self._bits, 64)

    def finish(self, line: Timeline, reason: str) -> None:
        """The request is over; `reason`: why it was refused. The last attempt that is not has had the answer."""
        self.reason = reason
        self.end_open(line.received if line.done is None else line.done, line)

    def end_open(self, now: float, line: Timeline) -> None:
        """Attempts that have brought their answer are over."""
        for attempt in self.attempts:
            attempt.end(now, "", line)

    def told(self, headers: Headers, attempt: TracedAttempt | None) -> Headers:
        """The headers that an engine gets with this attempt."""
        if self._came and not self.is_sampled:
            return headers
        if attempt is None and self.attempts:
            attempt = self.attempts[-1]
        span_id = self.span_id if attempt is None else attempt.span_id
        kept = [(name, value) for name, value in headers if name.lower() not in (b"traceparent", b"tracestate")]
        flags = "01" if self.is_sampled else "00"
        kept.append((b"traceparent", f"00-{self.trace_id}-{span_id}-{flags}".encode()))
        if self.state:
            kept.append((b"tracestate", self.state))
        return kept


class Tracing:
    """Begins traces. `bits`: chance; `share`: of the requests without a parent, so many are sampled."""

    def __init__(self, bits: Bits, share: float) -> None:
        self._bits = bits
        self._below = int(share * (1 << 56))

    def begin(self, fields: Mapping[bytes, bytes]) -> Trace:
        """The trace that a request with these headers belongs to."""
        found = _PARENT.match(fields.get(b"traceparent", b"").strip())
        if found is not None and _is_valid(found):
            _, trace_id, parent_id, flags, _ = found.groups()
            state = fields.get(b"tracestate", b"")
            return Trace(
                self._bits,
                trace_id.decode(),
                parent_id.decode(),
                state if state.isascii() else b"",
                is_sampled=bool(int(flags, 16) & _SAMPLED),
            )
        trace_id = _hex(self._bits, 128)
        return Trace(self._bits, trace_id, "", b"", is_sampled=int(trace_id[-14:], 16) < self._below)


def _is_valid(found: "re.Match[bytes]") -> bool:
    version, trace_id, parent_id, _, rest = found.groups()
    if version == b"ff" or (version == b"00" and rest):
        return False
    return trace_id.decode() != _NO_TRACE and parent_id.decode() != _NO_SPAN


def _hex(bits: Bits, count: int) -> str:
    """Never all zeros, which means none."""
    value = bits(count)
    while not value:
        value = bits(count)
    return f"{value:0{count // 4}x}"
