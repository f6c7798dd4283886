"""Whether those that are there keep the pace that they were promised, if one more prompt is computed beside them.

A prompt keeps everybody waiting who decodes. One that has had its tokens faster than promised has banked the difference
and can wait for as long; one that has just begun depends on what is to come. Owns that rule, which is asked only where
the mean over all of them would suffer, so that it costs nothing elsewhere.
"""

from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.learn.entry import Entry

SHORT_ANSWER: Final = 0.5
"""A resident whose answer is this share of what is expected must still keep its pace: short ones suffer most from a
prefill beside them."""
MIN_ANSWER: Final = 8.0
_BANKED: Final = 0.4
"""Share of what was banked that may be spent: others will want some of it, and how much it is is estimated."""
_MOST: Final = 64
"""With more of them some have always just begun."""


def residents_tpot(backend: Backend, tpot: float, price: float = 1.0) -> float:
    """Seconds per output token of those that are there: `tpot`, which is predicted beside them, with the prefill of the
    job, counted `price` times, spread over their answers."""
    ledger = backend.ledger
    answers = ledger.promised_answers / max(1, ledger.promised)
    return tpot + price * backend.model.stretch() * backend.forecast.cost / max(MIN_ANSWER, SHORT_ANSWER * answers)


def can_wait(backend: Backend, demand: Demand, tpot: float) -> bool:
    """Whether each of them keeps its pace all the same, by what it had so far: after `residents_tpot`, which says no.
    Bulk has no claim to what others have banked: the next of them may have to wait for its first token then."""
    ledger, margin, stretch = backend.ledger, demand.tpot_margin, backend.model.stretch()
    if demand.bulk or ledger.promised > _MOST:
        return False
    own_s = stretch * backend.forecast.cost
    for entry in ledger.pending:
        if entry.tpot_limit is not None and own_s > _to_come_s(entry, entry.tpot_limit / margin - tpot):
            return False
    all_s = own_s + stretch * backend.forecast.backlog
    for entry in ledger.flowing:
        spare_s = (entry.tpot_limit or 0.0) / margin - tpot
        if own_s > _to_come_s(entry, spare_s) and all_s > _banked_s(entry, backend, demand.now, spare_s):
            return False
    return True


def _to_come_s(entry: Entry, spare_s: float) -> float:
    """Seconds that one without a past can be kept waiting, which has so many to spare per token."""
    return spare_s * max(MIN_ANSWER, SHORT_ANSWER * entry.answer)


def _banked_s(entry: Entry, backend: Backend, now: float, spare_s: float) -> float:
    """The same of one that has had tokens."""
    if entry.first_at is None or entry.tpot_limit is None or spare_s <= 0.0:
        return 0.0
    flowed_s = now - entry.first_at
    tokens = backend.model.tokens(flowed_s, *backend.ledger.beside(entry, now))
    banked_s = entry.tpot_limit * tokens - flowed_s
    return _BANKED * banked_s + spare_s * max(0.0, SHORT_ANSWER * entry.answer - tokens)
