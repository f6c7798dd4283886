"""What is wrong with an answer of which the client has seen nothing yet. Changes nothing: what
follows from a ruling is for the job to do.

status                              what it means                                   whose fault
429, 503, 529                       full, or not ready: it has not begun            nobody's
521-523, 525, 526                   what stands in front of it did not reach it     not reached
401-403 to the operator's key       it would refuse everybody                       the operator's
  and 400s that speak of it,
  404 for a model that it lists
502                                 what stands in front of it lost it              the backend's
504, 524                            no answer in time; it may be at work still      the backend's, never repeated
2xx with a page (HTML)              it is no engine                                 the backend's
500, 424 and other 5xx              it failed, or the body makes it fail            what another backend says of it
other 4xx                           an answer                                       the client's
"""

from dataclasses import replace
from typing import Final, NamedTuple

from proxy.core.fleet.abilities import is_believable
from proxy.engines.refusals import cannot, refuses_key, wants_tls
from proxy.live.answer import Answer
from proxy.live.relay import Relay
from proxy.live.upstream.backends import Upstream
from proxy.model.abilities import Cannot, Lack
from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.model.faults import (
    CONTEXT_TOO_LONG,
    DECLINED,
    NOT_REACHED,
    Blame,
    Fault,
    Kind,
    Retry,
    Source,
    upstream,
)
from proxy.model.request import Job
from proxy.wire import errors
from proxy.wire.event import Event
from proxy.wire.given_up import is_given_up, was_given_up
from proxy.wire.retry_after import retry_after_s
from proxy.wire.usage import is_unfinished

BUSY: Final = frozenset({429, 503, 529})
_FRONT_CANNOT_REACH: Final = frozenset({521, 522, 523, 525, 526})
"""Cloudflare's: down, timed out, no route, no TLS."""
_FRONT_GAVE_UP: Final = frozenset({504, 524})
_KEY_REFUSED: Final = frozenset({401, 402, 403})
_GENERATION_FAILED: Final = 424
"""TGI's."""


class CheckResult(NamedTuple):
    """What an answer is, of which the client has seen nothing yet."""

    fault: Fault | None
    """None: it is the client's, an error of its own too."""
    status: int = 0
    """Of a stream that was an error all along: the status that it stands for,"""
    error: bytes = b""
    """and the error."""


class _Said(NamedTuple):
    """An answer that is no good one."""

    by: Upstream
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


_GOOD: Final = CheckResult(None)


def checked(relay: Relay, backend: Upstream, endpoint: Endpoint) -> CheckResult:
    """On an attempt that is ready."""
    if relay.fault is not None:
        return CheckResult(_seen_through(relay.fault, backend))
    if _gave_up(relay, endpoint):
        return CheckResult(_aborted(backend.name))
    first = _first_event(relay)
    if first is not None:
        return first._replace(fault=_fault(_Said(backend, first.status, relay.headers, first.error), first.fault))
    if relay.status < 300:
        return CheckResult(_page(backend)) if relay.is_page and ENDPOINTS[endpoint].works else _GOOD
    return CheckResult(_fault(_Said(backend, relay.status, relay.headers, relay.body), None))


def _gave_up(relay: Relay, endpoint: Endpoint) -> bool:
    """An engine that was told to, and says so where an answer ends; of a stream before its first token."""
    if relay.status != 200:
        return False
    if relay.stream is None:
        return relay.complete and was_given_up(relay.body, endpoint)
    return relay.stream.saw_error and relay.meter.last_token is None and is_given_up(relay.stream.last_event)


def _aborted(backend: str) -> Fault:
    """Whoever runs it wanted that: held against it only where others serve the same."""
    text = f"Backend {backend} gave its answer up before it was complete: it was paused, put to sleep or told to."
    return upstream(Kind.ABORTED, text, Retry.SAFE, blame=Blame.UNPROVEN)


def _page(backend: Upstream) -> Fault:
    text = f"Backend {backend.name} answered with a page for browsers; is there an engine behind its URL?"
    return upstream(Kind.NONSENSE, text, Retry.SAFE)


def lack_of(relay: Relay, backend: Upstream, job: Job) -> Cannot | None:
    """What its engine lacks for the request, if its answer says so: others may have it."""
    if relay.status < 400 or relay.fault is not None:
        return None
    lack = cannot(relay.status, relay.body, job.endpoint, backend.dialect)
    return lack if lack is not None and is_believable(lack, job) else None


def fault_of_lack(lack: Cannot, relay: Relay) -> Fault:
    """What becomes of an attempt whose engine lacks what it needs."""
    text = f"Backend {relay.backend} lacks what the request needs ({lack.lack}, status {relay.status})."
    code = CONTEXT_TOO_LONG if lack.lack is Lack.CONTEXT else None
    return Fault(Source.UPSTREAM, Kind.CANNOT, text, Retry.SAFE, code=code)


def blamed_for(fault: Fault, endpoint: Endpoint) -> Fault:
    """The same, held against its backend only where it tried to generate something."""
    if ENDPOINTS[endpoint].works or fault.kind in NOT_REACHED or fault.kind in DECLINED:
        return fault
    return replace(fault, blame=Blame.UNPROVEN)


def is_repeatable(fault: Fault, endpoint: Endpoint) -> bool:
    """Whether the request may be sent once more, elsewhere, as long as the client has seen nothing."""
    if fault.kind in NOT_REACHED or fault.kind in DECLINED:
        return True
    return fault.retry is Retry.SAFE and ENDPOINTS[endpoint].repeatable


def fault_of_end(answer: Answer, endpoint: Endpoint) -> Fault | None:
    """The fault of a stream that has ended without one of the connection's: cut, or an error of the engine's own."""
    events = answer.events
    if events is None:
        return None
    if events.saw_error and is_given_up(events.last_event):
        return _aborted(answer.backend)
    if events.saw_error:
        return upstream(Kind.STREAM_ERROR, f"Backend {answer.backend} reported an error inside its stream.")
    if events.saw_done or events.has_ended:
        return None
    if not ENDPOINTS[endpoint].tells_end and not is_unfinished(events.last_event):
        return None
    return upstream(Kind.CUT, f"Backend {answer.backend} ended its stream before its text was complete.", Retry.SAFE)


def fault_of_answer(answer: Answer) -> Fault:
    """What an answer with an error status is, which the client gets as it is."""
    return fault_of_status(answer.backend, answer.status)


def fault_of_status(backend: str, status: int) -> Fault:
    """The same, of its status."""
    text = f"Backend {backend} answered with status {status}."
    if status in BUSY:
        return upstream(Kind.BUSY, text)
    if status >= 500:
        return upstream(Kind.ERROR_STATUS, text)
    return Fault(Source.DOWNSTREAM, Kind.INVALID, text)


def hides_its_words(fault: Fault, status: int) -> bool:
    """Whether what the engine said is none of the client's business: it is about the operator's key, or about another
    place, or a page, or says that its answer is none."""
    return fault.kind in (Kind.REDIRECT, Kind.NONSENSE, Kind.ABORTED) or (
        fault.kind is Kind.MISCONFIGURED and status != 404
    )


def _seen_through(fault: Fault, backend: Upstream) -> Fault:
    """A connection that is closed without an answer, by whoever closes probes too: nobody is behind that port."""
    if fault.kind is not Kind.RESET or not backend.seems_nobody:
        return fault
    return upstream(Kind.CONNECT, f"Nobody is behind the port of {backend.name}: it closes probes too.")


def _fault(said: _Said, of_event: Fault | None) -> Fault | None:
    """`of_event`: what its first event says of itself, where that stands for its status."""
    status = said.status
    if status < 300:
        return None
    if status < 400:
        text = f"Backend {said.by.name} answered with a redirect, which is never followed."
        return upstream(Kind.REDIRECT, text, Retry.SAFE)
    if status in BUSY:
        return _busy(said)
    if status < 500 and status != _GENERATION_FAILED:
        return _operators_fault(said) or of_event
    return of_event or _failure(said)


def _busy(said: _Said) -> Fault | None:
    """Full; but a limit of the client's own key keeps nobody else away, and that of an account that is used up does
    not clear."""
    if said.status == 429 and errors.is_out_of_credit(said.body):
        return _misconfigured(said, "says that the operator's account is used up") if said.by.has_key else None
    if said.status == 429 and not said.by.has_key and _limits_one_key(said.headers):
        return upstream(Kind.CANNOT, f"Backend {said.by.name} limits the client's own key.", Retry.SAFE)
    text = f"Backend {said.by.name} is too busy (status {said.status})."
    return upstream(Kind.BUSY, text, Retry.SAFE, retry_after_s(said.headers))


def _limits_one_key(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name.lower().startswith((b"x-ratelimit-", b"anthropic-ratelimit-")) for name, _ in headers)


def _operators_fault(said: _Said) -> Fault | None:
    if wants_tls(said.status, said.body):
        return _misconfigured(said, "speaks TLS there: is its url https://?")
    if said.by.has_key and (said.status in _KEY_REFUSED or refuses_key(said.status, said.body)):
        return _misconfigured(said, "refuses the key that the operator gave to the proxy")
    if said.status == 404 and not said.by.takes_any and errors.names_no_such_model(said.body):
        return _misconfigured(said, "lacks a model that it is said to serve")
    return None


def _misconfigured(said: _Said, what: str) -> Fault:
    text = f"Backend {said.by.name} {what} (status {said.status}); its operator has to look at it."
    return upstream(Kind.MISCONFIGURED, text, Retry.SAFE, blame=Blame.UNPROVEN)


def _failure(said: _Said) -> Fault:
    status, name = said.status, said.by.name
    if status in _FRONT_CANNOT_REACH:
        return upstream(Kind.CONNECT, f"What stands in front of backend {name} cannot reach it (status {status}).")
    text = f"Backend {name} answered with status {status}."
    if status == 502:
        return upstream(Kind.ERROR_STATUS, text, Retry.SAFE)
    if status in _FRONT_GAVE_UP:
        return upstream(Kind.ERROR_STATUS, text)
    blame = Blame.UNPROVEN if said.by.dialect.answers_500_to_bad_requests else Blame.LIKELY
    return upstream(Kind.ERROR_STATUS, text, Retry.SAFE, blame=blame)


def _first_event(relay: Relay) -> CheckResult | None:
    """Of an engine that says 200 and then fails before its first token: the error that it is."""
    stream = relay.stream
    if stream is None or not stream.saw_error or len(stream.tail) != 1:
        return None  # no error, or one that came after output, if in the same read
    payload = Event(stream.tail[0]).data
    found = errors.first_event_fault(payload, relay.backend)
    return None if found is None else CheckResult(found[0], found[1], payload)
