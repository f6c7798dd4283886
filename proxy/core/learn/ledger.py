"""What is outstanding on one backend, by our own books, kept from dispatch to end.

Owns the sums and their integrals over time, all in O(1) per event. Scraped metrics reconcile it (other clients of the
same engine); they never stop it: what is old counts less and less, and then not at all.
"""

from math import exp, isfinite
from typing import Final

from proxy.core.learn.decaying import Decaying
from proxy.core.learn.entry import Entry
from proxy.core.learn.lines import LinesThere
from proxy.core.learn.prefilling import Prefilling

DUTY_S: Final = 30.0
"""Memory of the prefill duty, seconds."""
RATE_S: Final = 10.0
"""Memory of the prefill rate, seconds."""
_MISSED: Final = 3.0
"""Scrapes missed after which foreign load is forgotten."""
_MAX_COUNT: Final = 1e6
_LATE_SHARE: Final = 0.9
_FIRST_INTERVAL_S: Final = 5.0


class Ledger:
    """Plain floats; `settle` brings the integrals up to `now` before anything changes."""

    __slots__ = (
        "_at",
        "_busy",
        "_busy_s",
        "_decoding_s",
        "_foreign_at",
        "_foreign_interval_s",
        "_foreign_running",
        "_foreign_waiting",
        "_foreseen",
        "_guessed",
        "_head",
        "_kv_s",
        "_limits",
        "_most_running",
        "_pending_work_s",
        "_prefilling",
        "_present",
        "decoding",
        "duty",
        "flowing",
        "has_foreign",
        "head_since",
        "kv",
        "lines",
        "pending",
        "pending_bulk_s",
        "pending_fresh",
        "pending_s",
        "promised",
        "promised_answers",
        "rate",
        "scrapes_ignored",
        "tightest",
    )

    def __init__(self) -> None:
        self.pending: dict[Entry, None] = {}
        """Prefills not known to be over, in the order of dispatch."""
        self._head: Entry | None = None
        """The first of them."""
        self.pending_s = 0.0
        """Their predicted seconds."""
        self.pending_fresh = 0.0
        """Their tokens to compute."""
        self.pending_bulk_s = 0.0
        """Predicted seconds of those that are bulk."""
        self.head_since = 0.0
        """Since when the engine can have worked on the first of them."""
        self.decoding = 0
        self.flowing: dict[Entry, None] = {}
        """Those of them with a promised time per token."""
        self.kv = 0.0
        """Tokens of all that is there, expected answers included."""
        self.tightest: float | None = None
        """Least time per token promised to any of them."""
        self.scrapes_ignored = 0
        self._limits: dict[float, int] = {}
        self.duty = Decaying(DUTY_S)
        """Share of the time that goes into prefills, as predicted, or less where they were seen to take less."""
        self._busy = 0.0
        """Share of the time in which a prefill was pending: none can have been computed in the rest."""
        self._prefilling = Prefilling()
        self._foreseen = 0.0
        """Predicted seconds of what is over, by the second."""
        self._present = 0.0
        """Share of the time in which anything was there."""
        self._pending_work_s = 0.0
        self.rate = Decaying(RATE_S)
        """Prefill tokens a second."""
        self._at = self._decoding_s = self._kv_s = self._busy_s = 0.0
        self.lines = LinesThere()
        """Lines of batches beside others."""
        self.promised = 0
        """Requests with a promised time per token…"""
        self.promised_answers = 0.0
        """…and the tokens expected of their answers."""
        self._foreign_running = self._foreign_waiting = 0.0
        self.has_foreign = False
        """Others were there at the last scrape."""
        self._foreign_at: float | None = None
        self._foreign_interval_s = _FIRST_INTERVAL_S
        self._most_running = 0
        self._guessed = False
        """`head_since` is our own estimate, because nobody told."""

    # ---- events

    def dispatch(self, entry: Entry, now: float) -> None:
        """An attempt goes out."""
        self.settle(now)
        if self._head is None:
            self._head = entry
            self.head_since = now
        self.pending[entry] = None
        self.pending_s += entry.cost
        self.pending_fresh += entry.fresh
        if entry.bulk:
            self.pending_bulk_s += entry.cost
        self.kv += entry.kv
        self._pending_work_s += entry.work
        self.duty.add(entry.work / DUTY_S, now)
        self.rate.add(entry.fresh / RATE_S, now)
        self._most_running = max(self._most_running, len(self.pending) + self.decoding)
        self.lines.sent(entry, now)
        self._promise(entry)

    def first_token(self, entry: Entry, now: float) -> float | None:
        """Its prefill is over; the seconds it took, None when the books cannot tell."""
        self.settle(now)
        if entry.first_at is not None:
            return None
        since, known = max(entry.dispatched, self.head_since), not self._guessed or entry.dispatched > self.head_since
        self._prefilled(entry, now)
        self._guessed = False
        return now - since if known else None

    def end(self, entry: Entry, now: float) -> None:
        """The attempt is over, however."""
        self.settle(now)
        if entry in self.pending:
            if entry is self._head:
                self.head_since = now
            self._leave_pending(entry)
        elif entry.first_at is not None:
            self.decoding -= 1
        self._foreseen += entry.seconds / DUTY_S
        self.lines.left(entry)
        self.kv -= entry.kv
        limit = entry.tpot_limit
        if limit is not None:
            self.promised -= 1
            self.promised_answers = self.promised_answers - entry.answer if self.promised else 0.0
            self.flowing.pop(entry, None)
            self._limits[limit] -= 1
            if not self._limits[limit]:
                del self._limits[limit]
                self.tightest = min(self._limits, default=None)
        if not self.pending and not self.decoding:
            self.kv = self.pending_s = 0.0
        assert self.decoding >= 0

    def settle(self, now: float) -> None:
        """Count the time that has passed, and prefills nobody reports on whose time is over."""
        elapsed = now - self._at
        if elapsed > 0:
            fade = exp(-elapsed / DUTY_S)
            self._busy *= fade
            self._foreseen *= fade
            self._present *= fade
            present = self._head is not None or self.decoding > 0
            self._prefilling.passes(elapsed, self._head, present)
            if present:
                self._present += 1.0 - fade
            if self._head is not None:
                self._busy += 1.0 - fade
                self._busy_s += elapsed
            self._decoding_s += self.decoding * elapsed
            self._kv_s += self.kv * elapsed
            self._at = now
        while (head := self._head) is not None:
            if head.streams or now - self.head_since < head.cost:
                break
            self._prefilled(head, self.head_since + head.cost)
            self._guessed = True

    def around(self, entry: Entry, now: float) -> tuple[float, float, float] | None:
        """Mean of decoding requests and of KV tokens between its first token and now, and the seconds of prefill."""
        self.settle(now)
        if entry.first_at is None or now <= entry.first_at:
            return None
        span = now - entry.first_at
        decoding, kv = self._decoding_s - entry.mark_decoding, self._kv_s - entry.mark_kv
        work_s, busy_s = self._prefilling.done_s - entry.mark_work, self._busy_s - entry.mark_busy
        return decoding / span, kv / span, min(work_s, busy_s)

    def beside(self, entry: Entry, now: float) -> tuple[float, float, float]:
        """About the same of one that goes on: nothing is settled for it."""
        if entry.first_at is None or now <= entry.first_at:
            return self.decoding, self.kv, 0.0
        span, since = now - entry.first_at, now - self._at
        decoding_s, kv_s = self._decoding_s + self.decoding * since, self._kv_s + self.kv * since
        work_s, busy_s = self._prefilling.done_s - entry.mark_work, self._busy_s - entry.mark_busy
        return (decoding_s - entry.mark_decoding) / span, (kv_s - entry.mark_kv) / span, min(work_s, busy_s)

    def integrals(self, now: float) -> tuple[float, float, float, float]:
        """Seconds of decoding requests, of KV tokens, of prefills under way and of work on them, since it began."""
        self.settle(now)
        return self._decoding_s, self._kv_s, self._busy_s, self._prefilling.done_s

    def _prefilled(self, entry: Entry, now: float) -> None:
        self._prefilling.over(entry, entry is self._head)
        self._leave_pending(entry)
        self.head_since = now
        self.decoding += 1
        if entry.tpot_limit is not None:
            self.flowing[entry] = None
        entry.first_at = now
        entry.mark_decoding, entry.mark_kv = self._decoding_s, self._kv_s
        entry.mark_busy, entry.mark_work = self._busy_s, self._prefilling.done_s

    def _leave_pending(self, entry: Entry) -> None:
        del self.pending[entry]
        if entry is self._head:
            self._prefilling.next()
            self._head = next(iter(self.pending), None)
        self.pending_s = self.pending_s - entry.cost if self.pending else 0.0
        self._pending_work_s = self._pending_work_s - entry.work if self.pending else 0.0
        self.duty.cap(self._busy + self._pending_work_s / DUTY_S, self._at)
        self.pending_fresh = self.pending_fresh - entry.fresh if self.pending else 0.0
        if entry.bulk:
            self.pending_bulk_s = max(0.0, self.pending_bulk_s - entry.cost) if self.pending else 0.0

    def _promise(self, entry: Entry) -> None:
        limit = entry.tpot_limit
        if limit is None:
            return
        self.promised += 1
        self.promised_answers += entry.answer
        self._limits[limit] = self._limits.get(limit, 0) + 1
        if self.tightest is None or limit < self.tightest:
            self.tightest = limit

    # ---- what it says

    def backlog(self, now: float) -> tuple[float, float, float]:
        """Predicted seconds of prefill ahead of a newcomer; and of the first in line: its predicted and its actual
        seconds so far, as far as these are not the wait for a seat or for its model."""
        head = self._head
        if head is None:
            return 0.0, 0.0, 0.0
        spent = now - self.head_since
        if not head.begins:
            spent = min(spent, head.cost)
        return self.pending_s - min(spent, _LATE_SHARE * head.cost), head.cost, spent

    def not_begun(self) -> list[Entry]:
        """Pending prefills behind the one that is being computed: giving them up wastes nothing."""
        return list(self.pending)[1:]

    def prefilling(self, now: float) -> float:
        """Share of the last seconds in which prompts were computed."""
        return self._prefilling.share(now - self._at, self._head, self._head is not None or self.decoding > 0)

    def realised(self) -> float:
        """Seconds that requests took lately by the second predicted, at most 1: all together they cannot have taken
        more than the time in which any was there. An engine that computes several at once shows itself so."""
        return min(1.0, self._present / self._foreseen) if self._foreseen > self._present else 1.0

    # ---- metrics of the engine

    def reconcile(self, running: float | None, waiting: float | None, now: float) -> bool:
        """A scrape told how much is there; False when it told nonsense."""
        if not (_sane(running) and _sane(waiting)):
            self.scrapes_ignored += 1
            return False
        if self._foreign_at is not None:
            gap = min(60.0, max(0.1, now - self._foreign_at))
            self._foreign_interval_s += 0.2 * (gap - self._foreign_interval_s)
        self._foreign_at = now
        ours_waiting = len(self.pending)
        total = max(0.0, (running or 0.0) + (waiting or 0.0) - self._most_running)
        self._foreign_waiting = min(total, max(0.0, (waiting or 0.0) - ours_waiting))
        self._foreign_running = total - self._foreign_waiting
        self._most_running = len(self.pending) + self.decoding
        self.has_foreign = total > 0
        return True

    def foreign(self, now: float) -> tuple[float, float]:
        """Running and waiting requests of others, as far as that is still known."""
        if self._foreign_at is None or not (self._foreign_running or self._foreign_waiting):
            return 0.0, 0.0
        age = (now - self._foreign_at) / self._foreign_interval_s
        if age > _MISSED:
            self.has_foreign = False
            return 0.0, 0.0
        fade = exp(-max(0.0, age - 1.0))
        return self._foreign_running * fade, self._foreign_waiting * fade


def _sane(count: float | None) -> bool:
    return count is None or (isfinite(count) and 0 <= count <= _MAX_COUNT)
