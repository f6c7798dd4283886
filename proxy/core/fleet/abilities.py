"""What one backend can do: how long its contexts are, as it tells, and what it was seen to be unable to do.

Owns what is learned of refusals and how long that is believed: an engine may be started anew with other options. Says
nothing of whether anybody else can; where nobody can, its word is asked for again by sending the request.
"""

from math import inf
from typing import Final

from proxy.model.abilities import Cannot, Lack
from proxy.model.endpoint import ENDPOINTS
from proxy.model.request import Job

BELIEVED_S: Final = 600.0
MAX_LACKS: Final = 256
"""Remembered of one backend: a few routes and features of each model; the oldest is forgotten first."""
MARGIN: Final = 1.2
"""Prompt tokens are an estimate: so many times as many must fit."""
_PLAUSIBLE: Final = 0.5
"""Of a limit that a request was refused for, the least share that it had by our own estimate."""

_SHORTEST: Final = 512
"""Tokens of the shortest context that anybody serves."""
_WITHOUT_TOKENS: Final = frozenset({Lack.IMAGES, Lack.AUDIO})
"""Of such content bytes do not tell tokens."""

_NOTHING: Final = frozenset[Lack]()
_Key = tuple[str, str, Lack]
"""Model, by the engine's own name, endpoint and what is lacking."""


def is_believable(cannot: Cannot, job: Job) -> bool:
    """Whether an engine can have meant it: clients can make engines say much. The request needs what is said to be
    missing, or is about as long as the context that is said to be too short."""
    if cannot.lack is Lack.CONTEXT:
        wanted = job.prompt_tokens + (job.max_tokens or 0)
        return wanted >= _PLAUSIBLE * (cannot.limit or _SHORTEST)
    return cannot.lack is Lack.ENDPOINT or cannot.lack in job.needs


class _Seen:
    __slots__ = ("at", "limit")

    def __init__(self, limit: float, at: float) -> None:
        self.limit = limit
        """Tokens; 0 for what has none."""
        self.at = at


class Abilities:
    """Of one backend; models by the engine's own names."""

    __slots__ = ("_contexts", "_lacks", "_unable", "counts_answer")

    def __init__(self) -> None:
        self._contexts: dict[str, int] = {}
        self._lacks: dict[_Key, _Seen] = {}
        self._unable: dict[str, frozenset[Lack]] = {}
        """By model: what the engine says itself that it cannot."""
        self.counts_answer = False
        """The answer has to fit into the context, too."""

    @property
    def known(self) -> bool:
        """Whether anything may keep a request away."""
        return bool(self._contexts) or bool(self._lacks) or bool(self._unable)

    @property
    def longest(self) -> int | None:
        """Of the contexts that it tells, tokens."""
        return max(self._contexts.values()) if self._contexts else None

    def alike(self, other: "Abilities") -> bool:
        """Whether both may be sent the same, as far as known."""
        is_same = self._contexts == other._contexts and self._unable == other._unable
        return is_same and not self._lacks and not other._lacks

    def tell(self, contexts: dict[str, int]) -> bool:
        """Context lengths as the engine tells them, tokens; whether any is new."""
        if contexts == self._contexts:
            return False
        self._contexts = contexts
        return True

    def tell_unable(self, unable: dict[str, frozenset[Lack]]) -> bool:
        """What the engine says that its models cannot; whether any of it is new."""
        if unable == self._unable:
            return False
        self._unable = unable
        return True

    def learn(self, job: Job, model: str, cannot: Cannot, prompt: float, now: float) -> None:
        """It refused a job with so many prompt tokens, and that is believable."""
        limit = 0.0
        if cannot.lack is Lack.CONTEXT:
            limit = prompt if cannot.limit is None else float(cannot.limit)
        key = (model, job.endpoint.value, cannot.lack)
        self._lacks.pop(key, None)
        if len(self._lacks) >= MAX_LACKS:
            del self._lacks[next(iter(self._lacks))]
        self._lacks[key] = _Seen(limit, now)

    def forget(self) -> None:
        """It is another engine now, or was started anew."""
        self._contexts, self._unable = {}, {}
        self._lacks.clear()

    def room(self, job: Job, model: str, now: float) -> float:
        """Tokens that fit, as far as known; infinite where nothing is."""
        told = self._contexts.get(model)
        limit = inf if told is None else float(told)
        if self._lacks:
            seen = self._seen((model, job.endpoint.value, Lack.CONTEXT), now)
            if seen is not None and seen.limit < limit:
                return seen.limit
        return limit

    def wanted(self, job: Job, prompt: float) -> float:
        """Tokens that must fit for it; 0: whatever there is, since its body does not tell the length of its prompt."""
        if not ENDPOINTS[job.endpoint].one_prompt or not _WITHOUT_TOKENS.isdisjoint(job.needs):
            return 0.0
        wanted = MARGIN * prompt
        return wanted + job.max_tokens if self.counts_answer and job.max_tokens else wanted

    def does(self, job: Job, model: str, now: float) -> bool:
        """Whether it has what the job needs, its context aside."""
        if self._unable and not job.needs.isdisjoint(self._unable.get(model, _NOTHING)):
            return False
        if not self._lacks:
            return True
        endpoint = job.endpoint.value
        if self._seen((model, endpoint, Lack.ENDPOINT), now) is not None:
            return False
        return all(self._seen((model, endpoint, need), now) is None for need in job.needs)

    def _seen(self, key: _Key, now: float) -> _Seen | None:
        seen = self._lacks.get(key)
        if seen is None or now - seen.at < BELIEVED_S:
            return seen
        del self._lacks[key]
        return None
