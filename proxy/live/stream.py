"""A stream of events on its way: split, cleaned, metered, re-chunked, paced. One per attempt that streams.

    bytes ─▶ split ─▶ clean ─▶ meter ─▶ re-chunk ─▶ undo our usage ─▶ pace ─▶ sink
       └── one plain event that leaves as it came: metered, straight on ──┘

Owns the order of these steps and the timers of the last two. Never changes text, order or usage.
"""

import asyncio
import re
from collections.abc import Callable
from time import monotonic
from typing import Final

from proxy.live.plan import StreamPlan
from proxy.wire import ends, errors, sse, usage
from proxy.wire.accounting import Undoing
from proxy.wire.choices import Choices, finishes
from proxy.wire.meter import GOES_ON, Meter
from proxy.wire.rechunk import Rechunker, TokenRechunker
from proxy.wire.tokens import Source

_TEXT: Final = re.compile(rb'"(?:content|text|reasoning_content|reasoning)": ?"([^"\\\r\n]+)"')
_QUOTE: Final = 34
_LF: Final = 10
_CR: Final = 13
_VAIN_MAX = 8
"""Events that nothing was like, before we stop to expect any."""
_WHOLE_B: Final = 64 * 1024
"""Of larger events only what is said of them is kept: type and usage."""
_HELD_S: Final = 0.1
"""A finishing event waits so long for the usage event; engines write both at once."""


class Stream:
    """Bytes in by `feed`, bytes out by `emit`; ends itself at `[DONE]` or at an engine's error event."""

    __slots__ = (
        "_before",
        "_before_that",
        "_choices",
        "_emit",
        "_flush_timer",
        "_head",
        "_held_timer",
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
        "_undoing",
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
        self._splitter = sse.EventSplitter(plan.event_limit_b, plan.allowance)
        self._limit_b = min(plan.event_limit_b, _WHOLE_B)
        """Larger events take the long way."""
        self._choices = Choices()
        self._rechunker = rechunker = plan.rechunker()
        self._tokens = rechunker if isinstance(rechunker, TokenRechunker) else None
        self._pacer = plan.pacer()
        self._undoing = plan.undoing()
        self._undoes = self._undoing is not None
        self._plain = self._may_be_plain()
        """Nothing is withheld: what comes whole and needs no change goes straight on."""
        self._head = self._rest = b""
        """An event that went straight on, before and behind its text: what the next one most likely looks like."""
        self._vain = 0
        self._pace_timer: asyncio.TimerHandle | None = None
        self._flush_timer: asyncio.TimerHandle | None = None
        self._held_timer: asyncio.TimerHandle | None = None
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
        if self._choices.saw(data):
            self._head = b""
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
        """The last events, up to 3 and oldest first, as the engine sent them, large ones abridged: usage is in them."""
        return [event for event in (self._before_that, self._before, self._last) if event]

    @property
    def last_event(self) -> bytes:
        """The last event with data, abridged when large: another one is another object, whatever it holds. Empty: none
        yet."""
        return self._last

    @property
    def has_ended(self) -> bool:
        """Whether the engine's events say that its text is complete, all choices of it, `[DONE]` or not."""
        return self._choices.have_ended or usage.said_last_word(self.tail)

    def token_source(self) -> Source:
        """How the tokens were counted: at the engine's granularity one event is taken for one token."""
        return Source.ESTIMATE if self._rechunker is None else self._rechunker.count.source

    def close(self) -> None:
        """Nothing more comes: what is withheld leaves now. Harmless when repeated."""
        out = self._withheld([], monotonic())
        if out:
            self._emit(b"".join(out))

    def stop(self) -> None:
        """The client left, or has all: no timer may fire any more, nothing goes out, and nothing large is held; nor is
        the sink, which holds us: a cycle, which only a full collection would find."""
        self._cancel_timers()
        self._splitter.give_back()
        self._emit = _nowhere

    # --- inside

    def _may_be_plain(self) -> bool:
        plan, rechunker = self._plan, self._rechunker
        is_withheld = self._pacer is not None or plan.continuation is not None
        return not is_withheld and (rechunker is None or self._tokens is not None)

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
        if not sse.is_plain(event) or event.find(b'"error"') >= 0:
            return False
        return not self._undoes or (event.find(b'"usage"') < 0 and not finishes(event))

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
            before = self._last
            self._remember(event)
            event = errors.event_as(event, self._plan.api, before)
            if continuation is not None and continuation.can_continue():
                self.unsent_error, event = event, b""
        else:
            if self._choices.saw(event):
                self._head = b""
            self._remember(event if len(event) <= _WHOLE_B else ends.abridged(event, sse.payload(event) or b""))
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
        if self._undoing is not None:
            events = events + self._undoing.rest()
        if self._pacer is None:
            return events
        self._pacer.push(events, now)
        return self._pacer.close(now)

    def _rechunked(self, event: bytes, now: float) -> list[bytes]:
        rechunker = self._rechunker
        if rechunker is None or len(event) > sse.FREE_B:  # such an event is a picture or a file: no tokens
            self.meter.saw(event, now)
            return self._undone_all([event] if rechunker is None else [*rechunker.flush(), event])
        before = rechunker.tokens
        pieces = rechunker.feed(event)
        self.meter.saw(event, now, max(0, rechunker.tokens - before))
        self._arm_flush(rechunker)
        return self._undone_all(pieces)

    def _undone_all(self, events: list[bytes]) -> list[bytes]:
        continuation = self._plan.continuation
        if continuation is not None:
            events = [kept for event in events if (kept := continuation.rewrite(event))]
        return events if self._undoing is None else self._undoing.pass_on(events)

    def _leave(self, events: list[bytes], now: float) -> None:
        if self._undoing is not None:
            self._arm_held(self._undoing)
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

    def _arm_held(self, undoing: Undoing) -> None:
        """While a finishing event waits nothing goes straight on, and it does not wait for long."""
        if self.saw_done or self.saw_error or bool(undoing.held) is (self._held_timer is not None):
            return
        if self._held_timer is None:
            self._plain = False
            self._held_timer = self._loop.call_later(_HELD_S, self._let_go)
        else:
            self._held_timer.cancel()
            self._held_timer = None
            self._plain = self._may_be_plain()

    def _let_go(self) -> None:
        assert self._undoing is not None
        self._leave(self._undoing.rest(), monotonic())

    def _flush(self) -> None:
        self._flush_timer = None
        assert self._rechunker is not None
        self._leave(self._undone_all(self._rechunker.flush()), monotonic())

    def _cancel_timers(self) -> None:
        for timer in (self._pace_timer, self._flush_timer, self._held_timer):
            if timer is not None:
                timer.cancel()
        self._pace_timer = self._flush_timer = self._held_timer = None


def _nowhere(data: bytes) -> None:
    """Of a stream that was stopped."""
