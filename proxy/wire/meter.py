"""The meter of one stream, at token level: when tokens came, not when chunks came.

Owns TTFT (the first event with output: not the role, not a comment), the time of the last token, and the gaps between,
once per token (an event of k tokens counts k, spread over its gap) and once per event, raw. No metric is
touched before the stream ends or somebody scrapes. Terms as in the serving literature: TPOT is
(t_last - t_first) / (tokens - 1) and has no value for one token.
"""

from collections.abc import Callable
from typing import Any, Final

from proxy.model.histogram import Histogram
from proxy.wire import usage
from proxy.wire.event import Event

GOES_ON: Final = b'"finish_reason":null'
"""In every output event but the last, as vLLM, llama.cpp, SGLang and OpenAI write it; others take longer ways."""


class Meter:
    """One per stream. Times are monotonic seconds."""

    __slots__ = (
        "_token_gaps",
        "event_gaps",
        "events",
        "first_answer",
        "first_token",
        "last_token",
        "on_first",
        "tokens",
    )

    def __init__(self) -> None:
        self.first_token: float | None = None
        self.first_answer: float | None = None
        """The first event of the answer proper, which is not what the model thinks."""
        self.last_token: float | None = None
        self.on_first: Callable[[], None] | None = None
        """Called once, before the first token is passed on."""
        self.events = 0
        """Events with output."""
        self.tokens = 0
        """As far as events show; the engine's usage knows better."""
        self.event_gaps = Histogram()
        self._token_gaps: Histogram | None = None
        """None as long as every event held one token: they are the gaps of the events."""

    def saw(self, event: Event, now: float, tokens: int = 1) -> None:
        """An event passed that holds `tokens` tokens if it holds output at all."""
        if self.last_token is None:
            if usage.holds_content(event):
                self.first_token = self.last_token = now
                self.events, self.tokens = 1, tokens
                if usage.begins_answer(event.raw):
                    self.first_answer = now
                on_first, self.on_first = self.on_first, None
                if on_first is not None:
                    on_first()
            return
        if event.raw.find(GOES_ON) < 0 and not usage.holds_content(event):
            return
        if self.first_answer is None and usage.begins_answer(event.raw):
            self.first_answer = now
        self.goes_on(now, tokens)

    def goes_on(self, now: float, tokens: int = 1) -> None:
        """A later event with output passed: of thought, or of the answer that has begun."""
        last = self.last_token
        assert last is not None
        gap = now - last
        self.last_token = now
        self.events += 1
        self.tokens += tokens
        apart = self._token_gaps
        if apart is None and tokens != 1:
            apart = self._token_gaps = self.event_gaps.copy()
        self.event_gaps.observe(gap)
        if apart is not None and tokens > 0:
            apart.observe(gap / tokens, tokens)

    def token_s(self) -> float:
        """Mean seconds per token so far; 0 before the second."""
        first, last = self.first_token, self.last_token
        return 0.0 if first is None or last is None or self.tokens < 2 else (last - first) / (self.tokens - 1)

    def hand_over(self, per_token: Histogram, per_event: Histogram) -> None:
        """Move the gaps counted so far to where all streams are counted."""
        if self._token_gaps is None:
            per_token.add(self.event_gaps)
        else:
            per_token.take(self._token_gaps)
        per_event.take(self.event_gaps)

    def tpot_s(self, tokens: int | None) -> float | None:
        """Seconds per output token after the first; `tokens` as the engine counted them, None: as we did."""
        count = self.tokens if tokens is None else tokens
        if self.first_token is None or self.last_token is None or count < 2:
            return None
        return (self.last_token - self.first_token) / (count - 1)

    def told(self) -> tuple[Any, ...]:
        """All that was metered, for `again`."""
        gaps, apart = self.event_gaps, self._token_gaps
        return (
            self.first_token,
            self.first_answer,
            self.last_token,
            self.events,
            self.tokens,
            gaps.told() if self.events > 1 else None,
            None if apart is None else apart.told(),
        )

    @classmethod
    def again(cls, told: tuple[Any, ...]) -> "Meter":
        """What `told`, of a stream that has ended."""
        made = cls()
        made.first_token, made.first_answer, made.last_token, made.events, made.tokens, gaps, apart = told
        if gaps is not None:
            made.event_gaps = Histogram.again(gaps)
        if apart is not None:
            made._token_gaps = Histogram.again(apart)
        return made
