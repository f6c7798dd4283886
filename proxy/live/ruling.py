"""What follows from the judge's ruling on an attempt, whoever's the attempt is: for its relay, and for what is known of
its backend."""

from proxy.live import response_check as judge
from proxy.live.attempt import Try
from proxy.live.upstream.backends import Upstream
from proxy.model.faults import NOT_REACHED, Fault, Kind


def heeded(one: Try) -> Fault | None:
    """The judge's ruling; a stream that is an error all along becomes that error."""
    if one.backend.has_key:  # else it is the client's own quota
        one.tell_quota()
    checked = judge.checked(one.relay, one.backend, one.call.request.endpoint)
    if checked.status:
        one.relay.turn_into_error(checked.status, checked.error)
    return checked.fault


def tell(backend: Upstream, one: Try, fault: Fault) -> None:
    """An attempt failed there."""
    relay = one.relay
    if fault.kind in NOT_REACHED:
        backend.is_lost.set()
    if relay.fault is not None and relay.fault.kind is Kind.RESET:
        backend.closed()
    elif relay.status:
        backend.heard()
    if fault.kind is Kind.MISCONFIGURED:
        backend.warn(fault.message)
