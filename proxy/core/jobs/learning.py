"""What is known and learned across jobs: every attempt is written down when it goes and settled when it ends.

Owns the order in which ledger, cost model, prefix record, answer lengths and tenants hear of an event. Decides nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isfinite
from typing import Final

from proxy.core.dials import Dials
from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.jobs.open_job import OpenJob
from proxy.core.learn.cost_model import decode_features, prefill_features
from proxy.core.learn.decode_rate import DecodeRate
from proxy.core.learn.entry import Entry
from proxy.core.learn.inferred_hit import inferred_hit
from proxy.core.learn.lengths import Lengths
from proxy.core.learn.sessions import Session, Sessions
from proxy.core.route.forecasting import has_seat, open_entry
from proxy.core.tally import Tally
from proxy.core.tenancy.fairness import Tenants
from proxy.model.commands import Finished, Flowed, Load
from proxy.model.request import Job
from proxy.model.scheduling import FairnessSettings

LEAST_S: Final = 0.2
"""Prefill that a prompt must have ahead of it to lead others."""
_KV_LEFT: Final = 0.9
"""Share of the KV budget up to which memory keeps no prompt waiting."""
_PATIENCE: Final = 0.5
"""Share of the time it has after which bulk stops leaving idle backends to others."""
_FOUND: Final = 0.9
"""A prompt of which so much was in the cache was still there."""
_MIN_ANSWER: Final = 8
"""Tokens of an answer below which its mean time per token says little."""
_LEARNT_KV_USAGE: Final = 0.2
"""Share of KV in use above which usage tells the budget."""
_LATE_FACTOR: Final = 1.5
_LATE_STEPS: Final = 2.0
_LATE_S: Final = 0.02
"""A first token is late that took so many times its prefill, decode steps and seconds more."""
_MAX_KV_TOKENS: Final = 1e10
_MAX_SEATS: Final = 1e6


class Learning:
    """One per scheduler."""

    def __init__(self, dials: Dials, fairness: FairnessSettings, tally: Tally) -> None:
        self._tally = tally
        self.lengths = Lengths()
        self.sessions = Sessions()
        self.tenants = Tenants(fairness)
        self._dials = dials

    # ---- before

    def demand(self, open_job: OpenJob, now: float, served: Job | None = None) -> Demand:
        """The question to ask of every candidate; `served`: the job as it would be served otherwise."""
        job = served or open_job.job
        demand = Demand(job, open_job.arrived, now)
        demand.bulk = job.bulk or open_job.demoted
        demand.prompt, factor = self.lengths.prompt(job)
        demand.too_short = open_job.too_short
        demand.block_tokens = job.prefix_block_tokens * factor
        demand.answer, demand.answer_high = self.lengths.answer(job)
        demand.session = self._session_of(open_job, now)
        if demand.session is not None:
            demand.goes_on(demand.session)
        elif job.prefix:
            demand.becomes = self.sessions.usual_tokens
        if open_job.waits_in is not None:
            self.tenants.waits(job.tenant, demand.promised, now)
        demand.over_share = self.tenants.tilt(job.tenant, demand.promised, now)
        demand.held = open_job.held_at is not None
        demand.bind(self._dials)
        if open_job.started:  # its first token was seen: a second attempt only goes on from there
            demand.ttft_left = inf
        if demand.bulk:
            demand.patience_s = _PATIENCE * self._dials.bulk_wait_s
            if job.deadline is not None:
                demand.patience_s = min(demand.patience_s, _PATIENCE * (job.deadline - open_job.arrived))
        return demand

    def demand_of_all(self, open_jobs: Sequence[OpenJob], now: float) -> Demand:
        """The same of several that go in one call."""
        demand = self.demand(open_jobs[0], now)
        for other in open_jobs[1:]:
            demand.merges(self.demand(other, now))
        return demand

    def share(self, open_jobs: Sequence[OpenJob], backend: Backend, demand: Demand) -> None:
        """Each tenant pays for its own jobs of a call that was booked to the leader's."""
        first, seconds, now = open_jobs[0].job.tenant, work_s(backend, demand), demand.now
        for other in open_jobs[1:]:
            if other.job.tenant != first:
                part_s = seconds * self.lengths.prompt(other.job)[0] / demand.prompt
                self.tenants.serve(first, -part_s, now)
                self.tenants.serve(other.job.tenant, part_s, now)

    def _session_of(self, open_job: OpenJob, now: float) -> Session | None:
        """Looked for once: a job that waits is asked about again and again, and a long prompt has many blocks."""
        self.sessions.expire(now)
        if not open_job.looked_for_session:
            open_job.looked_for_session = True
            open_job.session = self.sessions.find(open_job.job)
        elif open_job.session is not None and open_job.session not in self.sessions:
            open_job.session = None  # it was over before this turn could go
        return open_job.session

    def open(self, open_job: OpenJob, backend: Backend, demand: Demand) -> Entry:
        """An attempt goes out; `backend` was looked at for this very `demand`."""
        entry = self.open_beside(open_job, backend, demand)
        self.tenants.serve(demand.job.tenant, work_s(backend, demand), demand.now)
        entry.session = self.sessions.sent(demand.session, demand.job, backend.kept, demand.now)
        return entry

    def open_beside(self, open_job: OpenJob, backend: Backend, demand: Demand) -> Entry:
        """The same for an attempt that its tenant does not pay for."""
        entry = Entry(open_job.job, open_job.arrived, demand.now)
        open_entry(entry, backend, demand)
        entry.seconds = foreseen_s(backend, demand)
        entry.streams = demand.job.stream
        entry.probe = open_job.probe
        entry.held = open_job.held_at is not None and demand.ttft_left < inf
        entry.seated = has_seat(backend, demand.now)
        if entry.loading:
            entry.began_load = backend.loads.asked(backend.own_name(demand.job.model), demand.now)
        backend.ledger.dispatch(entry, demand.now)
        backend.concurrency.sent(entry, demand.now)
        if entry.streams:
            backend.batching.sent()
        if demand.chain:
            if backend.kv_tokens is not None:
                backend.record.fit(backend.kv_tokens, max(1, demand.job.prefix_block_tokens))
            if entry.cost >= LEAST_S and entry.streams:
                held = round(entry.hit / max(1.0, demand.block_tokens))
                backend.leading.begin(entry, demand.chain, held)
            session = demand.session
            if session is not None and session.prompt and session.place is backend.kept:
                entry.before = session.prompt, session.answer
                entry.evicted = backend.record.match(demand.chain) < session.blocks
            backend.record.add(demand.chain)
        return entry

    # ---- after

    def first_token(self, entry: Entry, backend: Backend, now: float) -> None:
        """The prefill of an attempt is over."""
        backend.concurrency.began(entry, now)
        if not entry.bulk and now - entry.dispatched > _late_s(entry, backend):
            backend.concurrency.yielding.late(now)
        if entry.first_at is not None:
            return
        if entry.streams:
            backend.batching.began(entry, now)
        if entry.leads:
            backend.leading.end(entry)
        since = max(entry.dispatched, backend.ledger.head_since)
        took = backend.ledger.first_token(entry, now)
        backend.seat_watch.begun(backend.ledger.decoding)
        _believe_seats(backend)
        if backend.loads.loaded is not None:
            self._learn_load(entry, backend, now)
        if entry.job.hedge is not None and not entry.loading:
            backend.pool.first_byte_times.learn(entry.prompt, True, entry.ttft, now - entry.dispatched)
        if took is None or entry.loading:
            return
        freed_at = backend.seat_watch.freed_at
        if freed_at > since:  # until then it waited for a seat, or did if all were taken
            took = None if backend.seats is None else now - freed_at
        if took is not None:
            entry.took = took
            backend.model.notice(prefill_features(entry.prompt, entry.prompt**2, entry.beside), took)
        backend.model.learn_ttft(entry.ttft, now - entry.dispatched)
        if entry.held:
            backend.pool.overran(now - entry.dispatched - self._dials.ttft_margin * entry.ttft)
        backend.pool.review(self._dials.min_samples, self._dials.early_error)

    def finished(self, entry: Entry, backend: Backend, report: Finished, now: float) -> None:
        """The attempt was answered to the last byte."""
        backend.concurrency.ended(entry, report.output_tokens, now)
        if report.ok:
            if backend.loads.loaded is not None:
                backend.loads.ready(backend.own_name(entry.job.model))
            if not report.parts:
                self.lengths.learn(entry.job, None if report.cut else report.prompt_tokens, report.output_tokens)
            self._learn_decode(entry, backend, report, now)
            self._learn_hit(entry, backend, report)
            _learn_prefill(entry, backend, report)
            if not entry.streams and entry.job.hedge is not None:
                backend.pool.first_byte_times.learn(entry.prompt, False, entry.first_byte_s, now - entry.dispatched)
        if entry.probe:
            backend.pool.probed(_kept(entry, report, now))
        if entry.session is not None and report.ok and not entry.session.open > 1:
            entry.session.counted(report.prompt_tokens or 0, report.output_tokens or 0)
        self._away(entry, backend, report.output_tokens, now)
        _leave(entry, backend, now)

    def lost(self, entry: Entry, backend: Backend, now: float) -> None:
        """The attempt ended otherwise. One that was late already says so, though it never came to its end."""
        ledger = backend.ledger
        if entry.began_load and entry.first_at is None:
            backend.loads.gave_up(backend.own_name(entry.job.model))
        if not entry.began and entry.job.hedge is not None:
            backend.pool.first_byte_times.exceeded(
                entry.prompt, entry.streams, entry.first_byte_s, now - entry.dispatched
            )
        if entry in ledger.pending:
            _, head_s, spent = ledger.backlog(now)
            if entry is next(iter(ledger.pending)) and spent > head_s:
                backend.model.late(head_s, spent)
        self._away(entry, backend, None, now)
        _leave(entry, backend, now)

    def withdrawn(self, entry: Entry, backend: Backend, now: float) -> None:
        """The attempt was taken back, and says nothing."""
        self._away(entry, backend, None, now)
        if entry.leads:
            backend.leading.end(entry)
        if entry.streams:
            backend.batching.left(entry.first_at is not None, now)
        backend.ledger.end(entry, now)

    def restarted(self, backend: Backend) -> None:
        """The engine's cache is empty, and its settings may be others."""
        backend.record.wipe()
        self.sessions.wiped(backend.kept)
        backend.abilities.forget()
        backend.is_set_up_anew()
        _forget_flow(backend)
        backend.calls.caps.forget()
        backend.batching.forget()
        if backend.spec.seats is None:
            backend.seat_watch.forget()
            backend.seats, backend.tells_seats = None, False

    def flowed(self, backend: Backend, report: Flowed, now: float) -> None:
        """What its answers bring while they flow."""
        backend.flow.learn(backend.ledger, backend.model, report.stream_s, report.tokens, now)
        backend.model.flows(backend.flow.slow)

    def load(self, backend: Backend, report: Load, now: float) -> None:
        """A scrape; what is nonsense is counted and otherwise ignored."""
        if not backend.ledger.reconcile(report.running, report.waiting, now):
            return
        if report.running is not None or report.facts is not None or report.loaded is None:
            before, backend.last_load, backend.scraped_at = backend.last_load, report, now
            if report.resting and before is not None:
                backend.last_load = replace(
                    report, running=before.running, waiting=before.waiting, kv_usage=before.kv_usage
                )
        backend.concurrency.told(report.running, report.waiting)
        if backend.spec.kv_tokens is None:
            if _within(report.kv_tokens, _MAX_KV_TOKENS):
                backend.kv_tokens = report.kv_tokens
            elif _within(report.kv_usage, 1.0) and (report.kv_usage or 0) > _LEARNT_KV_USAGE:
                self._learn_kv(backend, report.kv_usage or 1.0)
        if backend.spec.seats is None:
            self._learn_seats(backend, report, now)
        if report.loaded is not None:
            backend.loads.told(report.loaded)
        if report.unloaded is not None:
            _unload(backend, unloaded=report.unloaded)

    def _away(self, entry: Entry, backend: Backend, output_tokens: int | None, now: float) -> None:
        """A turn of a session is over: what it holds is in the ledger no more."""
        session, promised = entry.session, entry.job.slo_ttft_s
        if session is not None:
            tokens = entry.prompt + (output_tokens or 0)
            again_s = backend.model.prefill_s(max(tokens, self.sessions.usual_tokens))
            late = promised is not None and self._dials.ttft_margin * again_s > promised
            self.sessions.ended(session, tokens, late, now)

    def _learn_kv(self, backend: Backend, usage: float) -> None:
        """Only from what is ours: with foreign requests the books do not know what the usage is made of."""
        if backend.ledger.has_foreign or not backend.ledger.kv:
            return
        seen = backend.ledger.kv / usage
        backend.kv_tokens = seen if backend.kv_tokens is None else backend.kv_tokens + 0.1 * (seen - backend.kv_tokens)

    @staticmethod
    def _learn_load(entry: Entry, backend: Backend, now: float) -> None:
        """From the request that began it: those behind it wait for what is left."""
        model = backend.own_name(entry.job.model)
        if entry.began_load:
            backend.loads.learn(model, now - entry.dispatched - (entry.ttft - entry.loading))
        backend.loads.ready(model)

    @staticmethod
    def _learn_seats(backend: Backend, report: Load, now: float) -> None:
        if _within(report.seats, _MAX_SEATS):
            backend.seats, backend.tells_seats = report.seats, True
        elif not backend.tells_seats:
            decoding = backend.ledger.decoding
            backend.seat_watch.learn(report.running, report.waiting, report.kv_usage, decoding, now)
            _believe_seats(backend)

    def _learn_decode(self, entry: Entry, backend: Backend, report: Finished, now: float) -> None:
        around = backend.ledger.around(entry, now)
        tokens = report.output_tokens
        if around is None or tokens is None or tokens < _MIN_ANSWER or not entry.streams or entry.first_at is None:
            return
        decoding, kv, busy_s = around
        backend.model.learn_decode(
            decode_features(decoding, kv, busy_s / tokens), (now - entry.first_at) / (tokens - 1)
        )

    def _learn_hit(self, entry: Entry, backend: Backend, report: Finished) -> None:
        cached = report.cached_tokens
        if cached is None and entry.took is not None:
            self._tally.untold_hit_tokens += entry.hit
            prompt = float(report.prompt_tokens or entry.prompt)
            self._tally.inferred_hit_tokens += inferred_hit(backend.model, prompt, entry.beside, entry.took)
        if cached is None or not 0 <= cached <= max(entry.prompt * 20, 1.0):
            return
        self._tally.predicted_hit_tokens += entry.hit
        self._tally.actual_hit_tokens += cached
        backend.record.learn(entry.hit, cached)
        if entry.before is None or cached < _FOUND * entry.before[0]:
            return
        prompt, answer = entry.before
        if entry.evicted:
            backend.record.holds_more()
        if answer:
            backend.record.learn_answer((cached - prompt) / answer)


def _leave(entry: Entry, backend: Backend, now: float) -> None:
    """Out of the ledger. An answer that ends while a prompt waits may tell of seats."""
    ledger, budget = backend.ledger, backend.kv_tokens
    cramped = budget is not None and ledger.kv > _KV_LEFT * budget
    if entry.first_at is not None and ledger.pending and not ledger.has_foreign and not cramped:
        _, head_s, spent_s = ledger.backlog(now)
        backend.seat_watch.ended(ledger.decoding, backend.seats, head_s, spent_s, now)
        _believe_seats(backend)
    if entry.leads:
        backend.leading.end(entry)
    if entry.streams:
        backend.batching.left(entry.first_at is not None, now)
    ledger.end(entry, now)
    backend.concurrency.left(entry, now)
    if backend.flow.slow > 1.0 and not ledger.decoding and not ledger.pending:
        _forget_flow(backend)  # nobody is left to say that it still is: what ended has taught the cost model


def _unload(backend: Backend, *, unloaded: bool) -> None:
    """Its one model went out of memory, with all that was computed, or is there again."""
    if unloaded and backend.loads.loaded is None:
        backend.record.wipe()
    backend.loads.loaded = frozenset() if unloaded else None


def _forget_flow(backend: Backend) -> None:
    backend.flow = DecodeRate()
    backend.model.flows(1.0)


def _believe_seats(backend: Backend) -> None:
    if backend.spec.seats is None and not backend.tells_seats:
        backend.seats = backend.seat_watch.seats


def _learn_prefill(entry: Entry, backend: Backend, report: Finished) -> None:
    """Only now is it known how much of the prompt was computed."""
    if entry.took is None:
        return
    prompt = float(report.prompt_tokens or entry.prompt)
    hit = entry.hit if report.cached_tokens is None else float(max(0, report.cached_tokens))
    hit = min(hit, prompt)
    backend.model.learn_prefill(prefill_features(prompt - hit, prompt * prompt - hit * hit, entry.beside), entry.took)


def _late_s(entry: Entry, backend: Backend) -> float:
    """Seconds after which a first token is late for one that did not have to wait for others."""
    ledger, model = backend.ledger, backend.model
    return _LATE_FACTOR * (entry.cost + entry.ahead) + _LATE_STEPS * model.step_s(ledger.decoding, ledger.kv) + _LATE_S


def foreseen_s(backend: Backend, demand: Demand) -> float:
    """Backend seconds that a job is predicted to take: its prefill, and its share of the decoding steps."""
    return backend.forecast.cost + demand.answer * max(0.0, backend.model.per_request_s())


def work_s(backend: Backend, demand: Demand) -> float:
    """The same by what became of such predictions lately."""
    return foreseen_s(backend, demand) * backend.ledger.realised()


def _kept(entry: Entry, report: Finished, now: float) -> bool:
    """Whether every promise was kept."""
    job, first_at = entry.job, entry.first_at
    if first_at is None or not report.ok:
        return False
    if job.slo_ttft_s is not None and first_at - entry.arrived > job.slo_ttft_s:
        return False
    if job.slo_tpot_s is None or not report.output_tokens or report.output_tokens < 2:
        return True
    return (now - first_at) / (report.output_tokens - 1) <= job.slo_tpot_s


def _within(value: float | None, most: float) -> bool:
    return value is not None and isfinite(value) and 0 < value <= most
