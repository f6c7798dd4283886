"""What is wrong with an answer of which the client has seen nothing yet. Owns the verdict, not what follows from it.

status                              what it means                                   whose fault
429, 503, 529                       full, or not ready: it has not begun            nobody's
521-523, 525, 526                   what stands in front of it did not reach it     not reached
401-403 to the operator's key       it would refuse everybody                       the operator's
  and 400s that speak of it,
  404 for a model that it lists
502                                 what stands in front of it lost it              the backend's
504, 524                            no answer in time; it may be at work still      the backend's, never repeated
500, 424 and other 5xx              it failed, or the body makes it fail            what another backend says of it
other 4xx                           an answer                                       the client's
"""

from dataclasses import replace
from typing import Final

from proxy.engines.refusals import refuses_key
from proxy.live.backends import Backend
from proxy.live.relay import Relay
from proxy.model.faults import DECLINED, NOT_REACHED, Blame, Fault, Kind, Retry, Source, upstream
from proxy.model.request import IDLE, REPEATABLE, Endpoint
from proxy.wire import errors, sse
from proxy.wire.retry_after import retry_after_s
from proxy.wire.usage import is_unfinished

BUSY: Final = frozenset({429, 503, 529})
_FRONT_CANNOT_REACH: Final = frozenset({521, 522, 523, 525, 526})
"""Cloudflare's: down, timed out, no route, no TLS."""
_FRONT_GAVE_UP: Final = frozenset({504, 524})
_KEY_REFUSED: Final = frozenset({401, 402, 403})
_GENERATION_FAILED: Final = 424
"""TGI's."""
_ENDS_KNOWN = frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.RESPONSES, Endpoint.MESSAGES})
"""Endpoints whose complete streams are known to say so."""


def fault_of(relay: Relay, backend: Backend) -> Fault | None:
    """The fault of an attempt that is ready; None: its answer is the client's, a 4xx one too."""
    if relay.fault is not None:
        return relay.fault
    fault = _fault_of_first_event(relay)  # which stands for a status of its own
    status = relay.status
    if status < 300:
        return None
    if status < 400:
        relay.complete = False  # its body is nobody's: the connection is closed
        text = f"Backend {relay.backend} answered with a redirect, which is never followed."
        return upstream(Kind.REDIRECT, text, Retry.SAFE)
    if status in BUSY:
        return _busy(relay, backend)
    if status < 500 and status != _GENERATION_FAILED:
        return _operators_fault(relay, backend) or fault
    return fault or _failure(relay, backend)


def blamed_for(fault: Fault, endpoint: Endpoint) -> Fault:
    """The same, held against its backend only where it tried to generate something."""
    if endpoint not in IDLE or fault.kind in NOT_REACHED or fault.kind in DECLINED:
        return fault
    return replace(fault, blame=Blame.UNPROVEN)


def is_repeatable(fault: Fault, endpoint: Endpoint) -> bool:
    """Whether the request may be sent once more, elsewhere, as long as the client has seen nothing."""
    if fault.kind in NOT_REACHED or fault.kind in DECLINED:
        return True
    return fault.retry is Retry.SAFE and endpoint in REPEATABLE


def fault_of_end(relay: Relay, endpoint: Endpoint) -> Fault | None:
    """The fault of a stream that has ended without one of the connection's: cut, or an error of the engine's own."""
    stream = relay.stream
    if stream is None:
        return None
    if stream.saw_error:
        return upstream(Kind.STREAM_ERROR, f"Backend {relay.backend} reported an error inside its stream.")
    if stream.saw_done or stream.has_ended:
        return None
    if endpoint not in _ENDS_KNOWN and not is_unfinished(stream.last_event):
        return None
    return upstream(Kind.CUT, f"Backend {relay.backend} ended its stream before its text was complete.", Retry.SAFE)


def fault_of_answer(relay: Relay) -> Fault:
    """What an answer with an error status is, which the client gets as it is."""
    text = f"Backend {relay.backend} answered with status {relay.status}."
    if relay.status in BUSY:
        return upstream(Kind.BUSY, text)
    if relay.status >= 500:
        return upstream(Kind.ERROR_STATUS, text)
    return Fault(Source.DOWNSTREAM, Kind.INVALID, text)


def hides_its_words(fault: Fault, status: int) -> bool:
    """Whether what the engine said is about the operator's key, and none of the client's business."""
    return fault.kind is Kind.MISCONFIGURED and status != 404


def _busy(relay: Relay, backend: Backend) -> Fault | None:
    """Full; but a limit of the client's own key keeps nobody else away, and that of an account that is used up does
    not clear."""
    if relay.status == 429 and errors.is_out_of_credit(relay.body):
        return _misconfigured(relay, "says that the operator's account is used up") if backend.has_key else None
    if relay.status == 429 and not backend.has_key and _limits_one_key(relay):
        return upstream(Kind.CANNOT, f"Backend {relay.backend} limits the client's own key.", Retry.SAFE)
    text = f"Backend {relay.backend} is too busy (status {relay.status})."
    return upstream(Kind.BUSY, text, Retry.SAFE, retry_after_s(relay.headers))


def _limits_one_key(relay: Relay) -> bool:
    return any(name.lower().startswith(b"x-ratelimit-") for name, _ in relay.headers)


def _operators_fault(relay: Relay, backend: Backend) -> Fault | None:
    if backend.has_key and (relay.status in _KEY_REFUSED or refuses_key(relay.status, relay.body)):
        return _misconfigured(relay, "refuses the key that the operator gave to the proxy")
    if relay.status == 404 and not backend.takes_any and errors.names_no_such_model(relay.body):
        return _misconfigured(relay, "lacks a model that it is said to serve")
    return None


def _misconfigured(relay: Relay, what: str) -> Fault:
    text = f"Backend {relay.backend} {what} (status {relay.status}); its operator has to look at it."
    return upstream(Kind.MISCONFIGURED, text, Retry.SAFE, blame=Blame.UNPROVEN)


def _failure(relay: Relay, backend: Backend) -> Fault:
    status, name = relay.status, relay.backend
    if status in _FRONT_CANNOT_REACH:
        return upstream(Kind.CONNECT, f"What stands in front of backend {name} cannot reach it (status {status}).")
    text = f"Backend {name} answered with status {status}."
    if status == 502:
        return upstream(Kind.ERROR_STATUS, text, Retry.SAFE)
    if status in _FRONT_GAVE_UP:
        return upstream(Kind.ERROR_STATUS, text)
    blame = Blame.UNPROVEN if backend.dialect.answers_500_to_bad_requests else Blame.LIKELY
    return upstream(Kind.ERROR_STATUS, text, Retry.SAFE, blame=blame)


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
