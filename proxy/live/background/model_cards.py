"""What an engine says of each of its models that it has not loaded: read once per model, and again when its weights are
others.

Owns the rhythm and the bounds; what is read of an answer is told by the engine's dialect. No model is loaded for it.
"""

from typing import Final

import orjson

from proxy.engines.base import ModelCard
from proxy.live.background.questions import Questions
from proxy.live.upstream.backends import Upstream
from proxy.model.faults import FaultError

_AT_ONCE: Final = 4
"""Models asked for with one probe: engines read a file for each."""
_MOST: Final = 256
"""Models of one backend that are asked for."""
_MAX_B: Final = 1 << 20
_ELSEWHERE: Final = "cloud"
"""How a tag ends whose model somebody else has: asking for it would ask them."""


class ModelCards:
    """Of one backend, which keeps what was read."""

    def __init__(self, backend: Upstream, questions: Questions) -> None:
        self._backend = backend
        self._questions = questions
        self._weights: dict[str, str] = {}
        """Of the models that were asked for: what was told of their weights then."""

    async def look(self, names: frozenset[str], within_s: float) -> None:
        """It lists these models now. What does not come within so many seconds is asked for next time."""
        dialect, cards = self._backend.dialect, self._backend.cards
        if dialect.revisions is None or dialect.card is None:
            return
        weights = dialect.revisions(self._backend.listed)
        for name in [name for name in cards if name not in names]:
            del cards[name]
            self._weights.pop(name, None)
        there = sorted(name for name in names if name in weights and not name.endswith(_ELSEWHERE))[:_MOST]
        for name in [name for name in there if self._weights.get(name) != weights[name]][:_AT_ONCE]:
            card = await self._asked(name, within_s)
            if card is None:
                return
            cards[name], self._weights[name] = card, weights[name]

    def forget(self) -> None:
        """Another engine stands there."""
        self._backend.cards.clear()
        self._weights.clear()

    async def _asked(self, name: str, within_s: float) -> ModelCard | None:
        dialect = self._backend.dialect
        try:
            relay = await self._questions.post(dialect.card_at, orjson.dumps({"model": name}), _MAX_B, within_s)
        except (TimeoutError, FaultError):
            return None
        if relay.status >= 500 or not relay.complete:
            return None
        return dialect.card(relay.body) if relay.status == 200 and dialect.card is not None else ModelCard()
