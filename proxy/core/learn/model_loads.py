"""Models in the memory of an engine that swaps them, and how long it takes to load one: a prefill of seconds.

Owns what is loaded (told by the engine, corrected by what answers), what is being loaded for us, and the seconds that
each model took, learned from first tokens that came later than the work explains. Engines that do not tell what they
have loaded (`loaded` is None) hold all their models.
"""

from collections.abc import Mapping
from typing import Final

UNSEEN_S: Final = 10.0
"""Loading a model, as long as none was seen on this backend."""
_MIN_S: Final = 0.01
_MAX_S: Final = 600.0
_WEIGHT: Final = 0.3
"""Of the newest load of a model."""
_REST: Final = 0.1
"""Share of a load that is expected to be left when it takes longer than expected."""
MAX_MODELS: Final = 256
"""Models remembered: of their loading times the oldest is forgotten; what answers beyond them counts as loaded only
when the engine says so. No engine holds as many at once; one that answers to any name would grow the set for ever."""


class ModelLoads:
    """Of one backend; models by the engine's own names."""

    __slots__ = ("_began", "_took_s", "loaded", "seen")

    def __init__(self) -> None:
        self.loaded: frozenset[str] | None = None
        """In its memory; None: it does not tell, or has them all."""
        self.seen = 0
        """Loads seen to their end."""
        self._took_s: dict[str, float] = {}
        """Smoothed, the newest last."""
        self._began: dict[str, float] = {}
        """Loads that requests of ours caused and that are not over."""

    def wait_s(self, model: str, now: float) -> float:
        """Seconds until `model` is in memory, if it is asked for now."""
        loaded = self.loaded
        if loaded is None or model in loaded:
            return 0.0
        whole = self._took_s.get(model)
        if whole is None:
            whole = self.typical_s
        began = self._began.get(model)
        return whole if began is None else max(_REST * whole, whole - (now - began))

    @property
    def typical_s(self) -> float:
        """Mean over the models seen here."""
        known = self._took_s
        return sum(known.values()) / len(known) if known else UNSEEN_S

    def told(self, loaded: frozenset[str]) -> None:
        """The engine says what it has loaded."""
        self.loaded = loaded
        for model in loaded.intersection(self._began):
            del self._began[model]

    def asked(self, model: str, now: float) -> bool:
        """A request for a model that is not there was sent; whether that makes the engine begin to load it."""
        if model in self._began or len(self._began) >= MAX_MODELS:
            return False
        self._began[model] = now
        return True

    def ready(self, model: str) -> None:
        """It answered."""
        self._began.pop(model, None)
        loaded = self.loaded
        if loaded is not None and model not in loaded and len(loaded) < MAX_MODELS:
            self.loaded = loaded | {model}

    def gave_up(self, model: str) -> None:
        """The request that made the engine load it has ended otherwise: nothing is known of the load any more."""
        self._began.pop(model, None)

    def numbers(self) -> dict[str, float]:
        """Seconds by model."""
        return dict(self._took_s)

    def restore(self, took_s: Mapping[str, float]) -> None:
        """`numbers` of an earlier life."""
        for model, seconds in list(took_s.items())[-MAX_MODELS:]:
            self._took_s[model] = min(_MAX_S, max(_MIN_S, seconds))

    def learn(self, model: str, late_s: float) -> None:
        """The first token of the request that made the engine load it came so much later than its work explains."""
        took = min(_MAX_S, max(_MIN_S, late_s))
        known = self._took_s.pop(model, None)
        if known is None and len(self._took_s) >= MAX_MODELS:
            del self._took_s[next(iter(self._took_s))]
        self._took_s[model] = took if known is None else known + _WEIGHT * (took - known)
        self.seen += 1
