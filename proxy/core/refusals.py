"""What we say when the core itself refuses: one function per fault of our own.

Owns the words. Whether to refuse, and the advice on when to come back, is decided by the caller.
"""

from proxy.core.candidates import MIN_RETRY_AFTER_S
from proxy.model.faults import Fault, Kind, internal


def draining() -> Fault:
    """We are about to exit; whoever answers next is not us."""
    return internal(Kind.DRAINING, "This proxy is shutting down; send the request again.", MIN_RETRY_AFTER_S)


def hold_timeout(retry_after_s: float) -> Fault:
    """Held for as long as allowed, or the client's own deadline passed."""
    return internal(Kind.HOLD_TIMEOUT, "No backend had room for this request in time; try again later.", retry_after_s)


def queue_full(held: int, retry_after_s: float) -> Fault:
    """One more held job would break a bound."""
    return internal(
        Kind.QUEUE_FULL,
        f"All backends of this model are busy and the hold queue is full ({held} jobs wait); try again later.",
        retry_after_s,
    )
