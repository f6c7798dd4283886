"""A stream of events on its way: split, cleaned, metered, re-chunked, paced. One per attempt that streams.

    bytes ─▶ split ─▶ clean ─▶ meter ─▶ re-chunk ─▶ undo our usage ─▶ pace ─▶ sink
       └── one plain event that leaves as it came: metered, straight on ──┘

Owns the order of these steps and the timers of the last two. Never changes text, order or usage.
"""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from proxy.model.classes import StreamSettings
from proxy.wire import sse
from proxy.wire.accounting import Undo, without_usage
from proxy.wire.continuation import Continuation
from proxy.wire.counting import Evidence
from proxy.wire.meter import GOES_ON, Meter
from proxy.wire.pacing import Pacer
from proxy.wire.rechunk import Rechunker, TokenRechunker
from proxy.wire.rechunk_text import TextRechunker
from proxy.wire.tokens import Source

_TEXT: Final = re.compile(rb'"(?:content|text|reasoning_content|reasoning)": ?"([^"\\\r\n]+)"')
_QUOTE: Final = 34
_LF: Final = 10
_CR: Final = 13
_VAIN_MAX = 8
"""Events that nothing was like, before we stop to expect any."""


@dataclass(slots=True)
class StreamPlan:
    """What is done to a stream besides passing it on."""

    settings: StreamSettings
    event_limit_b: int
    undo: Undo = Undo.NOTHING
    """We asked for usage and the client did not."""
    continuation: Continuation | None = None
    """Keeps what another backend would have to continue from."""
    evidence: Evidence | None = None
    """What token borders can be told from; needed for every granularity but the engine's."""

    def rechunker(self) -> Rechunker | None:
        """A re-chunker for one stream; None at the engine's granularity."""
        if self.evidence is None or self.settings.granularity == "engine":
            return None
        if self.settings.granularity == "token":
            return TokenRechunker(self.evidence)
        return TextRechunker(self.evidence)

    def pacer(self) -> Pacer | None:
        """A pacer for one stream; None when tokens leave as they come."""
        return Pacer(self.settings.max_delay) if self.settings.pace == "smooth" else None


class Stream:
    """Bytes in by `feed`, bytes out by `emit`; ends itself at `[DONE]` or at an engine's error event."""

    __slots__ = (
        "_before",
        "_before_that",
        "_emit",
        "_flush_timer",
        "_head",
        "_last",
        "_limit_b",
        "_loop",
        "_pace_timer",
        "_pacer",
        "_plain",
        "_plan",
        "_rechunker",
        "_rest",
        "_splitter",
        "_tokens",
        "_undoes",
        "_vain",
        "meter",
        "saw_done",
        "saw_error",
        "unsent_error",
    )

    def __init__(
        self, plan: StreamPlan, meter: Meter, emit: Callable[[bytes], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._plan = plan
        self._emit = emit
        self._loop = loop
        self._splitter = sse.EventSplitter(plan.event_limit_b)
        self._limit_b = plan.event_limit_b
        self._rechunker = rechunker = plan.rechunker()
        self._tokens = rechunker if isinstance(rechunker, TokenRechunker) else None
        self._pacer = plan.pacer()
        self._undoes = plan.undo is not Undo.NOTHING
        self._plain = (
            self._pacer is None
            and plan.continuation is None
            and (rechunker is None or isinstance(rechunker, TokenRechunker))
        )
        """Nothing is withheld: what comes whole and needs no change goes straight on."""
        self._head = self._rest = b""
        """An event that went straight on, before and behind its text: what the next one most likely looks like."""
        self._vain = 0
        self._pace_timer: asyncio.TimerHandle | None = None
        self._flush_timer: asyncio.TimerHandle | None = None
        self._last = self._before = self._before_that = b""
        self.meter = meter
        self.saw_done = False
        self.saw_error = False
        self.unsent_error = b""
        """The engine's error event, withheld as long as another backend may continue."""

    def short_way(self, data: bytes, now: float) -> bytes | None:
        """What goes out for `data`, just read, when it is one plain event; often itself. None: `feed` it."""
        if not self._plain or len(data) > self._limit_b or not self._splitter.is_between_events:
            return None
        tokens = self._tokens
        if self._is_like_the_last(data):
            self._vain = 0
            if tokens is not None and not tokens.counts_one(data):
                return self._as_tokens(tokens, data, now)
            self.meter.goes_on(now)
            self._remember(data)
            return data
        if not self._is_plain(data):
            return None
        if self._vain < _VAIN_MAX:
            self._learn(data)
        if tokens is not None:
            return self._as_tokens(tokens, data, now)
        self.meter.saw(data, now)
        self._remember(data)
        return data

    def feed(self, data: bytes, now: float) -> None:
        """Some bytes from the engine. FaultError when an event grows over its limit."""
        self._pass_on(self._splitter.feed(data), now)

    @property
    def tail(self) -> list[bytes]:
        """The last events, up to 3 and oldest first, as the engine sent them: usage and the finish are in them."""
        return [event for event in (self._before_that, self._before, self._last) if event]

    @property
    def last_event(self) -> bytes:
        """The last event with data, itself: another one is another object, whatever it holds. Empty: none yet."""
        return self._last

    def token_source(self) -> Source:
        """How the tokens were counted: at the engine's granularity one event is taken for one token."""
        return Source.ESTIMATE if self._rechunker is None else self._rechunker.count.source

    def close(self) -> None:
        """Nothing more comes: what is withheld leaves now. Harmless when repeated."""
        out = self._withheld([], monotonic())
        if out:
            self._emit(b"".join(out))

    def stop(self) -> None:
        """The client left: no timer may fire any more."""
        self._cancel_timers()

    # --- inside

    def _remember(self, event: bytes) -> None:
        self._before_that = self._before
        self._before = self._last
        self._last = event

    def _is_like_the_last(self, event: bytes) -> bool:
        """Whether its text alone is another one. A quote would end the text, a line end the event, `\\"` do neither."""
        head, rest = self._head, self._rest
        if not head or not event.startswith(head) or not event.endswith(rest):
            return False
        text = event[len(head) : len(event) - len(rest)]
        if not text or text.endswith(b"\\"):
            return False
        return not (_QUOTE in text or _LF in text or _CR in text)

    def _is_plain(self, event: bytes) -> bool:
        return sse.is_plain(event) and event.find(b'"error"') < 0 and not (self._undoes and event.find(b'"usage"') >= 0)

    def _as_tokens(self, rechunker: TokenRechunker, event: bytes, now: float) -> bytes:
        """A plain event, or the events of one token each that it becomes."""
        before = rechunker.tokens
        pieces = rechunker.feed(event)
        self.meter.saw(event, now, max(0, rechunker.tokens - before))
        self._remember(event)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _learn(self, event: bytes) -> None:
        """An event of output that goes on: the next one may be like it."""
        found = _TEXT.search(event)
        if found is not None and event.find(GOES_ON) >= 0 and self.meter.last_token is not None:
            self._vain += 1
            self._head, self._rest = event[: found.start(1)], event[found.end(1) :]

    def _pass_on(self, events: list[bytes], now: float) -> None:
        out: list[bytes] = []
        for event in events:
            if self.saw_done or self.saw_error:
                break
            clean = sse.cleaned(event)
            if clean.startswith(b":"):
                out.append(clean)
            elif clean:
                self._take(clean, now, out)
        self._leave(out, now)

    def _take(self, event: bytes, now: float, out: list[bytes]) -> None:
        continuation = self._plan.continuation
        if sse.payload(event) == sse.DONE:
            self.saw_done = True
        elif sse.is_error(event):
            self.saw_error = True
            self._remember(event)
            if continuation is not None and continuation.can_continue():
                self.unsent_error, event = event, b""
        else:
            self._remember(event)
            if continuation is not None:
                continuation.saw(event)
                self.saw_error = continuation.disagrees
            out += self._rechunked(event, now)
            return
        self._plain = False  # nothing after the last word goes out, by any path
        out[:] = [*self._withheld(out, now), *([event] if event else [])]

    def _withheld(self, events: list[bytes], now: float) -> list[bytes]:
        """`events` and everything behind them that waits, in order."""
        self._cancel_timers()
        if self._rechunker is not None:
            events = events + self._undone_all(self._rechunker.flush())
        if self._pacer is None:
            return events
        self._pacer.push(events, now)
        return self._pacer.close(now)

    def _rechunked(self, event: bytes, now: float) -> list[bytes]:
        rechunker = self._rechunker
        if rechunker is None:
            self.meter.saw(event, now)
            return self._undone_all([event])
        before = rechunker.tokens
        pieces = rechunker.feed(event)
        self.meter.saw(event, now, max(0, rechunker.tokens - before))
        self._arm_flush(rechunker)
        return self._undone_all(pieces)

    def _undone_all(self, events: list[bytes]) -> list[bytes]:
        continuation = self._plan.continuation
        if continuation is not None:
            events = [kept for event in events if (kept := continuation.rewrite(event))]
        if not self._undoes:
            return events
        return [kept for event in events if (kept := without_usage(event, self._plan.undo))]

    def _leave(self, events: list[bytes], now: float) -> None:
        if self._pacer is not None and not self.saw_done and not self.saw_error:
            self._pacer.push(events, now)
            self._leave_due()
        elif events:
            self._emit(b"".join(events))

    def _leave_due(self) -> None:
        pacer = self._pacer
        assert pacer is not None
        due = pacer.due(monotonic())
        if due:
            self._emit(b"".join(due))
        next_at = pacer.next_at()
        if self._pace_timer is not None:
            self._pace_timer.cancel()
        self._pace_timer = None if next_at is None else self._loop.call_at(next_at, self._leave_due)

    def _arm_flush(self, rechunker: Rechunker) -> None:
        if not rechunker.withholds:
            if self._flush_timer is not None:
                self._flush_timer.cancel()
                self._flush_timer = None
        elif self._flush_timer is None and self._plan.settings.flush:
            self._flush_timer = self._loop.call_later(self._plan.settings.flush, self._flush)

    def _flush(self) -> None:
        self._flush_timer = None
        assert self._rechunker is not None
        self._leave(self._undone_all(self._rechunker.flush()), monotonic())

    def _cancel_timers(self) -> None:
        for timer in (self._pace_timer, self._flush_timer):
            if timer is not None:
                timer.cancel()
        self._pace_timer = self._flush_timer = None
