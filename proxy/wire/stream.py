"""A stream of events on its way: split, cleaned, metered, re-chunked, paced. One per attempt that streams.

    bytes ─▶ split ─▶ clean ─▶ stages ─▶ pace ─▶ bytes
       └── one plain event: `straight` ───────────┘

Owns the order of these steps. Reads no clock: what leaves later leaves by `due`, to be called at `next_at`. Never
changes text, order or usage.
"""

from typing import Final

from proxy.model.endpoint import ENGINES_OWN, Api
from proxy.wire import ends, errors, native, ndjson, sse, usage
from proxy.wire.choices import Choices
from proxy.wire.event import Event
from proxy.wire.given_up import is_given_up
from proxy.wire.meter import Meter
from proxy.wire.plan import StreamPlan
from proxy.wire.rechunk import TokenRechunker
from proxy.wire.stages import Chunking, Correcting, HidingUsage, Resuming, Stage
from proxy.wire.straight import StraightWay
from proxy.wire.tokens import CountSource

_WHOLE_B: Final = 64 * 1024
"""Of larger events only what is said of them is kept: type and usage."""


class Stream:
    """Ends itself at `[DONE]` or at an engine's error event. Times are monotonic seconds."""

    __slots__ = (
        "_before",
        "_before_that",
        "_begun",
        "_choices",
        "_is_over",
        "_is_straight",
        "_limit_b",
        "_lines",
        "_may_be_straight",
        "_next_at",
        "_pacer",
        "_plan",
        "_rechunker",
        "_splitter",
        "_stages",
        "_straight",
        "_texts",
        "is_in_vain",
        "last_event",
        "meter",
        "saw_done",
        "saw_error",
        "unsent_error",
    )

    def __init__(self, plan: StreamPlan, meter: Meter, *, lines: bool = False) -> None:
        """`lines`: its events are lines of JSON."""
        self._plan = plan
        self._lines = ndjson.LineSplitter(plan.event_limit_b, plan.allowance) if lines else None
        self._splitter = self._lines or sse.EventSplitter(plan.event_limit_b, plan.allowance)
        self._texts = native.Texts(plan.api) if plan.api in ENGINES_OWN else None
        """Of an API that is one engine's."""
        self._limit_b = min(plan.event_limit_b, _WHOLE_B)
        """Larger events take the long way."""
        self._choices = Choices()
        self._rechunker = rechunker = plan.rechunker()
        self._pacer = plan.pacer()
        self._stages: list[Stage] = [Chunking(meter, rechunker, plan.settings.flush)]
        if plan.continuation is not None:
            self._stages.append(Resuming(plan.continuation))
        undoing = plan.undoing()
        if undoing is not None:
            self._stages.append(HidingUsage(undoing))
        if plan.corrections is not None:
            self._stages.append(Correcting(plan.corrections))
        tokens = rechunker if isinstance(rechunker, TokenRechunker) else None
        self._straight = StraightWay(self._choices, meter, tokens, undoes=undoing is not None)
        self._may_be_straight = plan.api is not Api.MESSAGES and self._needs_nothing()
        self._is_straight = self._may_be_straight
        """Nothing is kept back: what comes whole and needs no change goes straight on."""
        self._is_over = False
        self._next_at: float | None = None
        self._before = self._before_that = b""
        self._begun = b""
        """The first event of Anthropic's, which tells what the prompt has."""
        self.last_event = b""
        """The last event with data, abridged when large: another one is another object, whatever it holds. Empty: none
        yet."""
        self.is_in_vain = False
        """What came last held no event with data, nor the end of one."""
        self.meter = meter
        self.saw_done = False
        self.saw_error = False
        self.unsent_error = b""
        """The engine's error event, withheld as long as another backend may continue."""

    def feed(self, data: bytes, now: float) -> bytes:
        """What goes out for some bytes from the engine, `data` itself where that is one plain event. FaultError when an
        event grows over its limit."""
        if self._is_straight and len(data) <= self._limit_b and self._splitter.is_between_events:
            out = self._straight.pass_on(data, now)
            if out is not None:
                self.is_in_vain = False
                self._remember(data)
                return out
        return self._pass_on(self._splitter.feed(data), now)

    def next_at(self) -> float | None:
        """When something leaves that waits; None: nothing waits."""
        return self._next_at

    def due(self, now: float) -> bytes:
        """What has waited long enough."""
        out: list[Event] = []
        for stage in self._stages:
            out = stage.feed(out, now)
            if stage.until is not None and stage.until <= now:
                out += stage.rest()
        return self._leave(out, now)

    def close(self, now: float) -> bytes:
        """Nothing more comes: what is kept back leaves now. Harmless when repeated."""
        last: list[Event] = []
        if self._lines is not None and not self._is_over:
            for raw in self._lines.rest():
                self._take(Event(raw), now, last)
        self._is_over = True
        return self._leave([*last, *self._rest(now)], now)

    def give_back(self) -> None:
        """No large event is held any more. Harmless when repeated."""
        self._splitter.give_back()

    @property
    def tail(self) -> list[bytes]:
        """The last events, up to 3 and oldest first, as the engine sent them, large ones abridged: usage is in them."""
        return [event for event in (self._before_that, self._before, self.last_event) if event]

    def usage(self) -> usage.Usage:
        """Token counts, as far as its events told them."""
        if self._texts is not None:
            return usage.Usage(*self._texts.counts)
        return usage.of_messages(self._begun, self.tail) if self._begun else usage.of_events(self.tail)

    @property
    def has_ended(self) -> bool:
        """Whether the engine's events say that its text is complete, all choices of it, `[DONE]` or not."""
        if self._texts is not None and self._texts.have_ended:
            return True
        return self._choices.have_ended or usage.said_last_word(self.tail)

    def token_source(self) -> CountSource:
        """How the tokens were counted: at the engine's granularity one event is taken for one token."""
        return CountSource.ESTIMATE if self._rechunker is None else self._rechunker.count.source

    # --- inside

    def _needs_nothing(self) -> bool:
        """Whether events can leave as they came, once nothing has to be seen in them."""
        plan, rechunker = self._plan, self._rechunker
        is_withheld = self._pacer is not None or plan.continuation is not None or plan.corrections is not None
        is_own = is_withheld or self._texts is not None
        return not is_own and (rechunker is None or isinstance(rechunker, TokenRechunker))

    def _remember(self, event: bytes) -> None:
        self._before_that = self._before
        self._before = self.last_event
        self.last_event = event

    def _pass_on(self, events: list[bytes], now: float) -> bytes:
        out: list[Event] = []
        before = self.last_event
        for raw in events:
            if self.saw_done or self.saw_error:
                break
            clean = sse.cleaned(raw) if self._lines is None else raw
            shown = clean if self._texts is None else raw  # who asks an engine's own API reads what it wrote
            if clean and not clean.startswith(b":"):
                self._take(Event(shown), now, out)
            elif shown:
                out.append(Event(shown))
        self.is_in_vain = self.last_event is before
        return self._leave(out, now) if events or self._pacer is not None else b""

    def _take(self, event: Event, now: float, out: list[Event]) -> None:
        if event.data == sse.DONE:
            self.saw_done = self._is_over = True
            out += [*self._rest(now), event]
        elif event.is_error or (self._texts is None and is_given_up(event.raw)):
            self.saw_error = self._is_over = True
            error = self._as_asked(event)
            continuation = self._plan.continuation
            if continuation is not None and continuation.can_continue():
                self.unsent_error = error.raw
                out += self._rest(now)
            else:
                out += [*self._rest(now), error]
        else:
            self._note(event)
            passed = [event]
            for stage in self._stages:
                passed = stage.feed(passed, now)
            out += passed

    def _note(self, event: Event) -> None:
        self._straight.saw(event)
        raw = event.raw
        if self._texts is not None:
            self._texts.saw(event.object)
        elif self._plan.api is Api.MESSAGES and not self._begun and raw.find(b'"message_start"') >= 0:
            self._begun = raw if len(raw) <= _WHOLE_B else ends.abridged(raw, event.data)
            self._may_be_straight = self._needs_nothing()
        self._remember(raw if len(raw) <= _WHOLE_B else ends.abridged(raw, event.data))
        continuation = self._plan.continuation
        if continuation is not None:
            continuation.saw(event)
            self.saw_error = continuation.disagrees

    def _as_asked(self, error: Event) -> Event:
        before = self.last_event
        self._remember(error.raw)
        if is_given_up(error.raw):
            return Event(errors.event(errors.ABORTED, self._plan.api, before))
        return Event(errors.event_as(error.raw, self._plan.api, before))

    def _rest(self, now: float) -> list[Event]:
        """Everything that the stages keep back, in order."""
        out: list[Event] = []
        for stage in self._stages:
            out = stage.feed(out, now) + stage.rest()
        return out

    def _leave(self, events: list[Event], now: float) -> bytes:
        leaving = [event.raw for event in events]
        pacer = self._pacer
        if pacer is not None:
            pacer.push(leaving, now)
            leaving = pacer.close(now) if self._is_over else pacer.due(now)
        self._next_at = self._first()
        self._is_straight = self._may_be_straight and not self._is_over and self._next_at is None
        return b"".join(leaving)

    def _first(self) -> float | None:
        first = None if self._pacer is None else self._pacer.next_at()
        for stage in self._stages:
            until = stage.until
            if until is not None and (first is None or until < first):
                first = until
        return first
