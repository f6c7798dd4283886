"""What is wrong with an answer of which the client has seen nothing yet. Owns the verdict, not what follows from it."""

from proxy.engines.dialect import Dialect
from proxy.live.relay import Relay
from proxy.model.faults import Fault, Kind, Retry, Source, upstream
from proxy.model.request import REPEATABLE, Endpoint
from proxy.wire import errors, sse, usage

_BUSY = (429, 503)
"""The engine has not begun, so another one may be asked."""
_GATEWAY = (502, 504)
"""Something in front of the engine answers: nobody worked on it, or nobody knows."""
_NOTHING_DONE = frozenset({Kind.CONNECT, Kind.CONNECT_TIMEOUT, Kind.BUSY})
_ENDS_KNOWN = frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.RESPONSES})
"""Endpoints whose complete streams are known to say so."""


def fault_of(relay: Relay, dialect: Dialect) -> Fault | None:
    """The fault of an attempt that is ready; None: its answer is the client's, a 4xx one too."""
    if relay.fault is not None:
        return relay.fault
    status = relay.status
    if status < 300:
        return _fault_of_first_event(relay)
    if status < 400:
        relay.complete = False  # its body is nobody's: the connection is closed
        text = f"Backend {relay.backend} answered with a redirect, which is never followed."
        return upstream(Kind.REDIRECT, text)
    if status in _BUSY:
        text = f"Backend {relay.backend} is too busy (status {status})."
        return upstream(Kind.BUSY, text, Retry.SAFE, _retry_after_s(relay))
    if status < 500 or (status == 500 and dialect.answers_500_to_bad_requests):
        return None
    retry = Retry.SAFE if status in _GATEWAY else Retry.NEVER
    return upstream(Kind.ERROR_STATUS, f"Backend {relay.backend} answered with status {status}.", retry)


def is_repeatable(fault: Fault, endpoint: Endpoint) -> bool:
    """Whether the request may be sent once more, elsewhere, as long as the client has seen nothing."""
    return fault.kind in _NOTHING_DONE or (fault.retry is Retry.SAFE and endpoint in REPEATABLE)


def fault_of_end(relay: Relay, endpoint: Endpoint) -> Fault | None:
    """The fault of a stream that has ended without one of the connection's: cut, or an error of the engine's own."""
    stream = relay.stream
    if stream is None:
        return None
    if stream.saw_error:
        return upstream(Kind.STREAM_ERROR, f"Backend {relay.backend} reported an error inside its stream.")
    if stream.saw_done or endpoint not in _ENDS_KNOWN or usage.has_ended(stream.tail):
        return None
    return upstream(Kind.CUT, f"Backend {relay.backend} ended its stream before its text was complete.", Retry.SAFE)


def fault_of_answer(relay: Relay) -> Fault:
    """What an answer with an error status is, which the client gets as it is."""
    source = Source.DOWNSTREAM if relay.status < 500 and relay.status != 429 else Source.UPSTREAM
    kind = Kind.INVALID if source is Source.DOWNSTREAM else Kind.ERROR_STATUS
    return Fault(source, kind, f"Backend {relay.backend} answered with status {relay.status}.")


def _fault_of_first_event(relay: Relay) -> Fault | None:
    """An engine that says 200 and then fails before its first token: answered as the error it is."""
    stream = relay.stream
    if stream is None or not stream.saw_error or len(stream.tail) != 1:
        return None  # no error, or one that came after output, if in the same read
    payload = sse.payload(stream.tail[0]) or b""
    found = errors.first_event_fault(payload, relay.backend)
    if found is None:
        return None
    fault, relay.status = found
    relay.turn_into_error(payload)
    return fault


def _retry_after_s(relay: Relay) -> float | None:
    value = next((v for n, v in relay.headers if n.lower() == b"retry-after"), b"")
    return min(float(value), 60.0) if value.isdigit() and len(value) < 6 else None
