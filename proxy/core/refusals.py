"""What we say when the core itself refuses: one function per fault of our own.

Owns the words; those of a limit stand in its table. Whether to refuse, and the advice on when to come back, is decided
by the caller.
"""

from collections.abc import Collection
from math import ceil

from proxy.core.fleet.candidates import MAX_RETRY_AFTER_S, MIN_RETRY_AFTER_S
from proxy.core.route.limits import limit_of
from proxy.core.tenancy.accounts import Shortage
from proxy.model.commands import Reason
from proxy.model.endpoint import ROUTE_LABEL
from proxy.model.faults import OUT_OF_CREDIT, Fault, Kind, Source, downstream, internal


def draining() -> Fault:
    """We are about to exit; whoever answers next is not us."""
    return internal(Kind.DRAINING, "This proxy is shutting down; send the request again.", MIN_RETRY_AFTER_S)


def short_of_memory() -> Fault:
    """This process is about to have none left."""
    return internal(Kind.MEMORY, "Tidegate is short of memory; please try again.", 2.0)


def hold_timeout(retry_after_s: float) -> Fault:
    """Held for as long as allowed, or the client's own deadline passed."""
    return internal(Kind.HOLD_TIMEOUT, "No backend had room for this request in time; try again later.", retry_after_s)


def unreachable(why: str = "") -> Fault:
    """Nobody who could serve it is there; `why`: what the last attempt to reach one showed."""
    text = "No backend of this model can be reached now; try again later."
    return internal(Kind.NO_BACKEND, f"{text} {why}".rstrip(), MIN_RETRY_AFTER_S)


def asked_to_wait(wait_s: float) -> Fault:
    """Every backend has said when to come back, and that is later than anybody may wait here."""
    after_s = min(MAX_RETRY_AFTER_S, max(MIN_RETRY_AFTER_S, wait_s))
    text = f"All backends of this model are full and asked for a pause; try again in {after_s:.0f} s."
    return internal(Kind.QUEUE_FULL, text, after_s)


def queue_full(held: int, retry_after_s: float) -> Fault:
    """One more held job would break a bound."""
    return internal(
        Kind.QUEUE_FULL,
        f"All backends of this model are busy and the hold queue is full ({held} jobs wait); try again later.",
        retry_after_s,
    )


def overloaded(reason: Reason, wait_s: float) -> Fault:
    """Serving it would break a limit on every backend."""
    limit = limit_of(reason)
    why = "all backends are busy" if limit is None else limit.words
    after_s = min(MAX_RETRY_AFTER_S, max(MIN_RETRY_AFTER_S, wait_s))
    return Fault(
        Source.INTERNAL,
        Kind.QUEUE_FULL,
        f"Refused, since {why}; try again in {after_s:.0f} s.",
        code=f"overloaded_{reason}",
        retry_after_s=after_s,
    )


def quota(shortage: Shortage) -> Fault:
    """The tenant has used up what it may."""
    per = f" per {shortage.per}" if shortage.per else ""
    per += f" for {shortage.scope}" if shortage.scope else ""
    if shortage.wait_s is None:
        text = (
            f"Request too large for this API key: about {shortage.wanted} {shortage.what}, while the limit is "
            f"{shortage.limit}{per}; make it shorter."
        )
        return internal(Kind.QUOTA, text)
    after_s = max(MIN_RETRY_AFTER_S, float(ceil(shortage.wait_s)))
    if shortage.per == "day":
        text = (
            f"This API key has used up its {shortage.what}{per}: limit {shortage.limit}, used {shortage.used}, "
            f"requested {shortage.wanted}. The next day begins in {after_s:.0f} s, at midnight UTC."
        )
        return Fault(Source.INTERNAL, Kind.QUOTA, text, code=OUT_OF_CREDIT, retry_after_s=after_s)
    text = (
        f"Rate limit reached for this API key on {shortage.what}{per}: limit {shortage.limit}, used {shortage.used}, "
        f"requested {shortage.wanted}. Please try again in {after_s:.0f} s."
    )
    return internal(Kind.QUOTA, text, after_s)


def only_elsewhere(model: str, backend: str) -> Fault:
    """It has to go to that backend, which does not serve its model: no other time helps."""
    text = (
        f'Backend "{backend}" has what this request goes on from, and does not serve "{model}"; ask for a model that it'
        " serves, or begin anew."
    )
    return downstream(Kind.INVALID, text, param="model")


def unlabelled(model: str, missing: Collection[str] = ()) -> Fault:
    """The rules require what no backend of the model has; `missing`: what the best of them lacks."""
    route = next((label.removeprefix(ROUTE_LABEL) for label in missing if label.startswith(ROUTE_LABEL)), "")
    if route:
        text = f'The model "{model}" is served by no engine that has {route}.'
        return downstream(Kind.MODEL_NOT_FOUND, text, param="model", code="model_not_found")
    facts = sorted(label.replace("=", " ") for label in missing if "=" in label and "!" not in label)
    what = f"has the labels that the rules require{': ' if facts else ''}{', '.join(facts)}"
    return internal(Kind.NO_BACKEND, f'No backend of "{model}" {what}.', MIN_RETRY_AFTER_S)
