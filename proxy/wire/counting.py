"""Output tokens of one stream, counted as its events pass.

Owns the choice of evidence: token ids and logprobs, then usage told along the way, then a tokenizer, then the estimate;
at the end the engine's own usage replaces them all. Evidence that contradicts itself (usage that shrinks, zeros beside
text) is no evidence.
"""

from dataclasses import dataclass
from typing import Any, Final

from proxy.wire.deltas import Fields, Part
from proxy.wire.tokens import TEXT_MAX, Count, CountSource, Estimator, Tokenizer, weaker

_COUNT_MAX: Final = 2**53


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a stream before its first event."""

    estimator: Estimator
    """The model's; learns from this stream too."""
    tokenizer: Tokenizer | None = None
    one_token_per_event: bool = False
    """The engine says so; an event that shows more is believed instead."""


class _Text:
    """One of the texts of a stream."""

    __slots__ = ("counted", "finished", "source", "told")

    def __init__(self) -> None:
        self.counted = 0
        self.source = CountSource.ENGINE_USAGE  # nothing counted yet, nothing to doubt
        self.told: int | None = None
        """The engine's usage so far."""
        self.finished = False

    @property
    def count(self) -> Count:
        if self.told is None:
            return Count(self.counted, self.source)
        return Count(self.told, CountSource.ENGINE_USAGE if self.finished else CountSource.CONTINUOUS_USAGE)


class TokenCounter:
    """One per stream; `add…` answers how many tokens an event holds."""

    __slots__ = ("_estimated", "_evidence", "_texts", "_total")

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._texts: dict[Any, _Text] = {}
        self._total: int | None = None
        self._estimated = 0

    @property
    def tokens(self) -> int:
        """All texts together: the number of `count`."""
        if self._total is not None:
            return self._total
        total = 0
        for text in self._texts.values():
            total += text.counted if text.told is None else text.told
        return total

    @property
    def count(self) -> Count:
        """All texts together."""
        if self._total is not None:
            return Count(self._total, CountSource.ENGINE_USAGE)
        value, source = 0, CountSource.ENGINE_USAGE
        for text in self._texts.values():
            one = text.count
            value, source = value + one.value, weaker(source, one.source)
        return Count(value, source if self._texts else CountSource.ESTIMATE)

    def add_text(self, index: Any, text: str) -> int:
        """An event that brought nothing but `text`."""
        k, source = self._of_text(text)
        state = self._texts.get(index) or self._texts.setdefault(index, _Text())
        state.counted += k
        if source is not state.source:
            state.source = weaker(state.source, source)
        return k

    def add_one(self, index: Any) -> bool:
        """An event of one token, by the engine's word, of a text known already; False: count it in another way."""
        state = self._texts.get(index)
        if state is None or state.told is not None or self._total is not None:
            return False
        state.counted += 1
        if state.source is not CountSource.ESTIMATE:
            state.source = weaker(state.source, CountSource.ESTIMATE)
        return True

    def add_named(self, index: Any, k: int) -> None:
        """An event of `k` tokens, by their ids."""
        state = self._texts.get(index) or self._texts.setdefault(index, _Text())
        state.counted += k
        if state.source is not CountSource.TOKEN_IDS:
            state.source = weaker(state.source, CountSource.TOKEN_IDS)

    def add_told(self, index: Any, usage: Any) -> int:
        """How many tokens more this usage says than the one before; 0, and not counted, when that is unclear."""
        state = self._texts.get(index)
        told = usage.get("completion_tokens") if isinstance(usage, dict) else None
        if state is None or state.told is None or type(told) is not int or not state.told < told < _COUNT_MAX:
            return 0
        k: int = told - state.told
        state.told = told
        state.counted += k
        return k

    def add(self, part: Part, fields: Fields, *, alone: bool = True) -> int:
        """One choice of an event. `alone`: it is the only one, so the event's usage is about it."""
        state = self._texts.get(part.index) or self._texts.setdefault(part.index, _Text())
        told = completion_tokens(fields) if alone and part.choice is not fields else None
        grown = _growth(state, told)
        k, source = self._of_part(part, grown)
        if told is not None and (grown is not None or part.choice.get("finish_reason")) and told > 0:
            state.told = told
            state.finished = bool(part.choice.get("finish_reason"))
        state.counted += k
        if k:
            state.source = weaker(state.source, source)
        return k

    def add_total(self, fields: Fields) -> None:
        """An event without output: the engine's last word on the whole stream, if it is that."""
        response = fields.get("response")
        total = completion_tokens(response if isinstance(response, dict) else fields)
        if total is None:
            return
        self._total = total
        if self._estimated:
            self._evidence.estimator.learn(self._estimated / self._evidence.estimator.ratio, total)
            self._estimated = 0

    def _of_part(self, part: Part, grown: int | None) -> tuple[int, CountSource]:
        told = part.token_ids or (len(part.tokens) if part.tokens is not None else 0)
        if told:
            return told, CountSource.TOKEN_IDS
        if grown is not None:
            return grown, CountSource.CONTINUOUS_USAGE
        texts = [segment.text for segment in part.segments if segment.text]
        if not texts:
            return 0, CountSource.ESTIMATE
        counts = [self._of_text(text) for text in texts]
        if self._evidence.one_token_per_event:
            return 1, CountSource.ESTIMATE
        source = counts[0][1]
        for _, other in counts:
            source = weaker(source, other)
        return sum(k for k, _ in counts), source

    def _of_text(self, text: str) -> tuple[int, CountSource]:
        evidence = self._evidence
        if evidence.one_token_per_event:
            return 1, CountSource.ESTIMATE
        if evidence.tokenizer is not None and len(text) <= TEXT_MAX:
            try:
                return evidence.tokenizer.encode_count(text), CountSource.TOKENIZER
            except ValueError:
                pass
        k = evidence.estimator.count(text)
        self._estimated += k
        return k, CountSource.ESTIMATE


def _growth(state: _Text, told: int | None) -> int | None:
    """Tokens since the last usage; None: not known. The first usage says it only when no text came before it."""
    if told is None or (state.told is None and state.counted):
        return None
    grown = told - (state.told or 0)
    return grown if grown > 0 or (grown == 0 and told > 0) else None


def completion_tokens(fields: Fields) -> int | None:
    """Output tokens in an object's `usage`; None: none, or nonsense."""
    usage = fields.get("usage")
    if not isinstance(usage, dict):
        return None
    value = usage.get("completion_tokens", usage.get("output_tokens"))
    return value if type(value) is int and 0 <= value < _COUNT_MAX else None
