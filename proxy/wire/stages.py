"""What is done to the events of a stream, one stage behind the other: each takes events and gives events.

    meter, re-chunk ─▶ as the first engine would have said it ─▶ undo our usage ─▶ correct

Owns what each keeps back, and until when. `now` is monotonic seconds. Never changes text, order or usage.
"""

from typing import Final

from proxy.wire import sse
from proxy.wire.accounting import Undoing
from proxy.wire.continuation import Continuation
from proxy.wire.corrections import Corrections
from proxy.wire.event import Event
from proxy.wire.meter import Meter
from proxy.wire.rechunk import Rechunker

_HELD_S: Final = 0.1
"""A finishing event waits so long for the usage event; engines write both at once."""


class Stage:
    """One step. This one passes everything and keeps nothing."""

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until: float | None = None
        """When what is kept back leaves at the latest; None: nothing is."""

    def feed(self, events: list[Event], now: float) -> list[Event]:
        """What goes on to the next stage."""
        return events

    def rest(self) -> list[Event]:
        """What was kept back, to go on now."""
        self.until = None
        return []


def counted(event: Event, rechunker: Rechunker, meter: Meter, now: float) -> list[bytes]:
    """What an event becomes, once its tokens are counted and metered."""
    before = rechunker.tokens
    pieces = rechunker.feed(event)
    meter.saw(event, now, max(0, rechunker.tokens - before))
    return pieces


class Chunking(Stage):
    """Counts tokens and their times, and cuts or joins events where that is wanted."""

    __slots__ = ("_flush_s", "_meter", "_rechunker")

    def __init__(self, meter: Meter, rechunker: Rechunker | None, flush_s: float) -> None:
        """`flush_s`: a part of a word waits so long for the rest of it; 0: until it comes."""
        super().__init__()
        self._meter = meter
        self._rechunker = rechunker
        self._flush_s = flush_s

    def feed(self, events: list[Event], now: float) -> list[Event]:
        out: list[Event] = []
        for event in events:
            self._take(event, now, out)
        return out

    def rest(self) -> list[Event]:
        self.until = None
        return [] if self._rechunker is None else [Event(raw) for raw in self._rechunker.flush()]

    def _take(self, event: Event, now: float, out: list[Event]) -> None:
        rechunker = self._rechunker
        if rechunker is None:
            self._meter.saw(event, now)
            out.append(event)
            return
        if len(event.raw) > sse.FREE_B:  # a picture or a file: no tokens
            self._meter.saw(event, now)
            out += [*self.rest(), event]
            return
        out += [event if raw is event.raw else Event(raw) for raw in counted(event, rechunker, self._meter, now)]
        if not rechunker.withholds:
            self.until = None
        elif self.until is None and self._flush_s:
            self.until = now + self._flush_s


class Resuming(Stage):
    """Makes what another engine continues look as if the first one went on."""

    __slots__ = ("_continuation",)

    def __init__(self, continuation: Continuation) -> None:
        super().__init__()
        self._continuation = continuation

    def feed(self, events: list[Event], now: float) -> list[Event]:
        rewritten = [self._continuation.rewrite(event) for event in events]
        return [event for event in rewritten if event is not None]


class Correcting(Stage):
    """Puts right what the engine does not write as OpenAI does."""

    __slots__ = ("_corrections",)

    def __init__(self, corrections: Corrections) -> None:
        super().__init__()
        self._corrections = corrections

    def feed(self, events: list[Event], now: float) -> list[Event]:
        return [self._corrections.of_event(event) for event in events]


class HidingUsage(Stage):
    """Takes out the usage that only we asked for."""

    __slots__ = ("_undoing",)

    def __init__(self, undoing: Undoing) -> None:
        super().__init__()
        self._undoing = undoing

    def feed(self, events: list[Event], now: float) -> list[Event]:
        out = self._undoing.pass_on(events)
        if self._undoing.held is None:
            self.until = None
        elif self.until is None:
            self.until = now + _HELD_S
        return out

    def rest(self) -> list[Event]:
        self.until = None
        return self._undoing.rest()
