"""The limits that admission keeps, as one ordered table: what each says, when it would break, and when it gives way.

Owns which of them a job would break on a backend. Each is one class and its line in `LIMITS`; refusals, metrics, their
documentation and the simulator read the table. The forecast that they look at is made by `foresee`.
"""

from math import inf, log
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.learn.ledger import DUTY_S
from proxy.core.route.forecasting import displaces, disturbs, in_all_s, predicted_tpot
from proxy.core.route.residents import can_wait, residents_tpot
from proxy.model.commands import Reason

_FAR_S: Final = 60.0
"""No limit is said to take longer to give way."""
_MOST_KEPT: Final = 0.5
"""Of a promised TTFT, for what predictions of held requests are short of: with more of it nobody would go any more,
and nothing be learned of who goes."""
_LARGE_S: Final = 2.5
"""A prompt that takes an engine so long can wait while predictions prove themselves…"""
_IN_HAND: Final = 0.5
"""…as long as it has so much of its promise in hand; then it goes, since nobody knows better."""
_LEAST_ROOM: Final = 0.02
"""Of a backend's time: less never comes free for a prompt of this size."""


class Limit:
    """One limit. Backends are asked about after `foresee` and `predicted_tpot` for this very job."""

    __slots__ = ("doc", "reason", "words")

    def __init__(self, reason: Reason, words: str, doc: str) -> None:
        self.reason = reason
        """The metric label, and the error's code after `overloaded_`."""
        self.words = words
        """For the client, after "Refused, since"."""
        self.doc = doc
        """For the operator."""

    def breaks(self, backend: Backend, demand: Demand) -> bool:
        """Whether the job would break it there."""
        raise NotImplementedError

    def clears_in_s(self, backend: Backend, demand: Demand) -> float:
        """Seconds until it gives way, by what is known now: unless it says otherwise, when the next request ends."""
        return min(_FAR_S, (backend.service_s or 1.0) / max(1, backend.in_flight))


class _Ttft(Limit):
    def breaks(self, backend: Backend, demand: Demand) -> bool:
        left_s = demand.ttft_left
        if demand.held:  # waited and left are the whole promise
            left_s -= min(backend.pool.overrun_s, _MOST_KEPT * (demand.waited + demand.ttft_left))
        return left_s < inf and demand.ttft_margin * backend.forecast.ttft > left_s

    def clears_in_s(self, backend: Backend, demand: Demand) -> float:
        return backend.forecast.ttft - max(0.0, demand.ttft_left) / demand.ttft_margin


class _Tpot(Limit):
    """Its own, or that of those who are there."""

    def breaks(self, backend: Backend, demand: Demand) -> bool:
        limit, tightest, tpot = demand.tpot_limit, backend.ledger.tightest, backend.forecast.tpot
        if limit is not None and demand.tpot_margin * tpot > limit:
            return True
        if tightest is None or demand.tpot_margin * residents_tpot(backend, tpot, demand.beside_price) <= tightest:
            return False
        return demand.tpot_margin * tpot > tightest or not can_wait(backend, demand, tpot)


class _Duty(Limit):
    """Time that goes into prefills; bulk also waits for its turn."""

    def breaks(self, backend: Backend, demand: Demand) -> bool:
        out, ledger = backend.forecast, backend.ledger
        queued = out.backlog > demand.bulk_backlog
        if demand.bulk and queued:
            return True
        if not out.work:
            return False
        if not (demand.promises or ledger.promised or (queued and not backend.concurrency.learns)):
            return False  # it is in nobody's way
        return ledger.duty.at(demand.now) + out.work / max(DUTY_S, 2 * out.work) > demand.duty_limit

    def clears_in_s(self, backend: Backend, demand: Demand) -> float:
        work = backend.forecast.work
        room = demand.duty_limit - work / max(DUTY_S, 2 * work)
        duty = backend.ledger.duty.at(demand.now)
        return DUTY_S * log(max(1.0, duty / room)) if room > _LEAST_ROOM else DUTY_S


class _Kv(Limit):
    def breaks(self, backend: Backend, demand: Demand) -> bool:
        budget, ledger = backend.kv_tokens, backend.ledger
        if budget is not None and ledger.kv + demand.prompt + demand.answer_high > demand.kv_share * budget:
            return True
        return displaces(backend, demand)


class _Seats(Limit):
    def breaks(self, backend: Backend, demand: Demand) -> bool:
        full = backend.seats is not None and backend.in_flight >= backend.seats
        return full and demand.ttft_left == inf and (demand.bulk or not backend.concurrency.learns)


class _Deadline(Limit):
    """Last: what clears in a moment comes first."""

    def breaks(self, backend: Backend, demand: Demand) -> bool:
        return demand.rest_s < inf and in_all_s(backend, demand) > demand.rest_s


class _Yield(Limit):
    """No promise is broken by it: of lines of batches more is wanted."""

    def breaks(self, backend: Backend, demand: Demand) -> bool:
        lines = backend.ledger.lines
        if not demand.yields or lines.is_alone(demand.now):
            return False
        model = backend.model
        step_s = max(0.0, model.per_request_s(demand.prompt + demand.answer)) * model.slow_decode
        return lines.delays(step_s, demand.now) > demand.yields_share


_YIELD: Final = _Yield(
    Reason.YIELD,
    "others would wait longer for their first tokens",
    "First tokens of others would come later by more than `routing.backfill.lines_delay`. Only lines of batches wait "
    "for that.",
)
LIMITS: Final[tuple[Limit, ...]] = (
    _YIELD,
    _Ttft(
        Reason.TTFT,
        "no backend could begin the answer within the time promised",
        "The first token would come later than promised.",
    ),
    _Tpot(
        Reason.TPOT,
        "no backend could keep the pace promised to this request and to those it serves already",
        "Tokens would come more slowly than promised, to this request or to those that are there.",
    ),
    _Duty(
        Reason.DUTY,
        "all backends are busy reading prompts",
        "More of a backend's time would go into prefills than `routing.admission` allows, or bulk would queue there.",
    ),
    _Kv(
        Reason.KV,
        "no backend has memory left for a request of this size",
        "Its tokens do not fit into the KV memory, beside what is promised to others.",
    ),
    _Seats(Reason.SEATS, "all places of all backends are taken", "The engine runs no more requests at once."),
    _Deadline(Reason.DEADLINE, "all backends are busy", "The whole answer would not be complete in time."),
)
"""In the order in which they are looked at: the first that would break is the reason. That a line yields comes first:
it holds where nothing else is enforced, and another reason would hide it."""
_WHEN_IDLE: Final[tuple[Limit, ...]] = (_YIELD,)


def limit_of(reason: Reason) -> Limit | None:
    """The limit that was broken; None: it was no limit of a backend's."""
    for limit in LIMITS:
        if limit.reason is reason:
            return limit
    return None


def judge(backend: Backend, demand: Demand) -> Reason | None:
    """The limit that the job would break, after `foresee`; None: it fits. An idle backend takes everything but lines of
    batches that others would feel who come and go."""
    out, ledger = backend.forecast, backend.ledger
    if backend in demand.kept and disturbs(backend, demand):
        out.reason = Reason.DUTY
        return Reason.DUTY
    out.tpot = predicted_tpot(backend, demand)
    out.reason = None
    is_idle = not backend.in_flight and not ledger.has_foreign and not displaces(backend, demand)
    for limit in _WHEN_IDLE if is_idle else LIMITS:
        if limit.breaks(backend, demand):
            out.reason = limit.reason
            break
    return out.reason


def large_with_time(backend: Backend, demand: Demand) -> bool:
    """Whether a prompt that would slow down answers is so large that it had better wait even if nobody is sure of that,
    and can: sent too soon it keeps an engine from its pace for seconds."""
    out, left_s = backend.forecast, demand.ttft_left
    if out.reason is not Reason.TPOT or out.work < _LARGE_S:
        return False
    return _IN_HAND * (left_s + demand.waited) < left_s < inf


def clears_in_s(backend: Backend, demand: Demand) -> float:
    """Until the limit that the job broke here gives way, by what is known now; 0: it broke none."""
    reason = backend.forecast.reason
    limit = None if reason is None else limit_of(reason)
    return 0.0 if limit is None else limit.clears_in_s(backend, demand)
