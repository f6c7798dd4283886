"""Looks once a second at what flows: tells the scheduler how many tokens each backend brought, and gives up streams
that fell silent where another backend can go on with them, or where nothing will come any more.

Owns the rhythm and the marks between two looks. Where a stream stands is its relay's to say; whether a silent one is
given up is the scheduler's.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from proxy.live.driver import Driver
from proxy.live.relay import Relay
from proxy.model.commands import Flowed
from proxy.model.faults import Kind, Retry, upstream
from proxy.model.timeline import Clock

LOOK_S: Final = 1.0
_STOOD_STILL_S: Final = 2 * LOOK_S
"""Between two looks: this process was stopped or suspended, and what came meanwhile may lie unread."""
_LEAST_QUIET_S: Final = 10.0
"""Before its first token an engine that ends in good order may still compute a prompt."""
_KEEP: Final = 0.9
_FEWEST: Final = 8
"""Tokens of an answer that says how many its events hold."""

GivesUp = Callable[[int, float, float, Callable[[str], bool] | None, float], bool]


class WatchedStream(Protocol):
    """A request that may have an answer on its way."""

    @property
    def relay(self) -> Relay | None:
        """Its answer, as far as there is one."""

    @property
    def attempt_id(self) -> int:
        """Whose answer that is, as the scheduler knows it; 0: nobody's."""

    def fits(self, backend: str) -> bool:
        """Whether that backend could go on with its stream."""


class StreamWatch:
    """One per proxy. `gives_up`: of an attempt whose stream was silent for so many seconds, now; who could go on with
    it (None: its text is such that nobody can), and its own seconds per token until then. `sleeps_on`: of an attempt
    whose answer has not begun, whether its backend leaves it alone until somebody wakes it."""

    def __init__(
        self,
        running: Iterable[WatchedStream],
        driver: Driver,
        gives_up: GivesUp,
        sleeps_on: Callable[[int], bool] | None,
        clock: Clock,
    ) -> None:
        self._running = running
        self._driver = driver
        self._gives_up = gives_up
        self._sleeps_on = sleeps_on
        self._clock = clock
        self._marks: dict[Relay, int] = {}
        """Tokens of what flowed at the last look."""
        self._quiet: dict[Relay, float] = {}
        """Streams without a token → when that was first seen."""
        self._looked = self._awake_since = clock()
        self._told: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        """Tokens of whole answers by backend, lately: as their engines told, and as we saw."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            self.look(self._clock())

    def ended(self, backend: str, told: int, seen: int) -> None:
        """An answer is whole that had `told` tokens and showed `seen` of them: an event may hold several."""
        if seen >= _FEWEST:
            self._told[backend] = _KEEP * self._told.get(backend, 0.0) + told
            self._seen[backend] = _KEEP * self._seen.get(backend, 0.0) + seen

    def forget(self, backend: str) -> None:
        """It is known no more."""
        self._told.pop(backend, None)
        self._seen.pop(backend, None)

    def look(self, now: float) -> None:
        """Compare with the last look."""
        elapsed, self._looked = now - self._looked, now
        before, self._marks = self._marks, {}
        quiet, self._quiet = self._quiet, {}
        if elapsed > _STOOD_STILL_S:
            before, self._awake_since = {}, now
        streams: dict[str, int] = {}
        tokens: dict[str, int] = {}
        silent: list[WatchedStream] = []
        unheard: list[WatchedStream] = []
        for flowing in self._running:
            relay = flowing.relay
            if relay is None:
                continue
            seen = relay.flow()
            if seen is None:
                if relay.is_unheard:
                    unheard.append(flowing)
                if relay.awaits_first_token:
                    self._quiet[relay] = quiet.get(relay, now)
                    self._consider_quiet(flowing, relay, now)
                continue
            self._marks[relay] = seen
            mark = before.get(relay)
            if mark is None:
                continue
            streams[relay.backend] = streams.get(relay.backend, 0) + 1
            tokens[relay.backend] = tokens.get(relay.backend, 0) + seen - mark
            if seen == mark:
                silent.append(flowing)
        for backend, count in streams.items():
            seen_ever = self._seen.get(backend)
            if seen_ever:  # else nobody knows what an event holds
                brought = tokens[backend] * self._told[backend] / seen_ever
                self._driver.report(Flowed(backend, count * elapsed, brought))
        for flowing in silent:
            self._consider(flowing, now)
        for flowing in unheard:
            self._take_back(flowing)

    def _consider(self, flowing: WatchedStream, now: float) -> None:
        relay = flowing.relay
        assert relay is not None
        silent_s = now - max(relay.progress.last_token or now, self._awake_since)
        fits = flowing.fits if relay.could_go_on_elsewhere else None
        if self._gives_up(flowing.attempt_id, silent_s, now, fits, relay.progress.token_s()):
            text = f"Backend {relay.backend} fell silent for {silent_s:.1f} s, and another one could not go on."
            relay.give_up(upstream(Kind.STALLED, text))

    def _consider_quiet(self, flowing: WatchedStream, relay: Relay, now: float) -> None:
        """Nothing will come from an engine that is gone; while it is there, first tokens have their own limit."""
        silent_s = now - max(self._quiet[relay], self._awake_since)
        if silent_s >= _LEAST_QUIET_S and self._gives_up(flowing.attempt_id, silent_s, now, None, 0.0):
            text = f"Backend {relay.backend} is gone, and brought no token for {silent_s:.1f} s."
            # Whose client has seen nothing may be served by another one.
            relay.give_up(upstream(Kind.STALLED, text, Retry.SAFE if relay.is_unheard else Retry.NEVER))

    def _take_back(self, flowing: WatchedStream) -> None:
        relay = flowing.relay
        assert relay is not None
        if self._sleeps_on is not None and self._sleeps_on(flowing.attempt_id):
            relay.give_up(upstream(Kind.STALLED, f"Backend {relay.backend} was put to sleep.", Retry.SAFE))
