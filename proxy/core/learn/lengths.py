"""How long answers get: learned quantiles per tenant, class, route and beginning of the prompt, and what the size of a
request says of tokens.

Owns both estimates and their bounds. Reads no text.
"""

from math import exp
from typing import Any, Final, TypeVar

from proxy.model.request import Job

MAX_KEYS: Final = 4096
"""Keys remembered of each kind; the longest unused is forgotten."""
_ORDERED_FROM: Final = MAX_KEYS // 2
_SEEN_ENOUGH: Final = 8
_RATE: Final = 0.05
_UNKNOWN_MEDIAN: Final = 128.0
_UNKNOWN_HIGH: Final = 512.0
"""Median and .9 quantile of answers before any was seen."""
_BYTES_PER_TOKEN: Final = 4.0
_MAX_SCALE: Final = 20.0
_SCALE_MEMORY: Final = 0.05

_Key = tuple[str, ...]
_PromptKey = tuple[str, str, str, str, int]
_K = TypeVar("_K")
_T = TypeVar("_T")


class _Length:
    __slots__ = ("high", "median", "samples")

    def __init__(self, first: float) -> None:
        self.median = first
        self.high = first
        self.samples = 0

    def learn(self, tokens: float) -> None:
        self.samples += 1
        rate = max(_RATE, 1.0 / self.samples)
        self.median *= exp(rate * (0.5 if tokens > self.median else -0.5))
        self.high *= exp(rate * (0.9 if tokens > self.high else -0.1))
        self.high = max(self.high, self.median)


class _Scale:
    """Σ actual ÷ Σ estimated, the older the less."""

    __slots__ = ("actual", "estimated")

    def __init__(self) -> None:
        self.actual = self.estimated = 1000.0

    def learn(self, estimated: float, actual: float) -> None:
        self.estimated += _SCALE_MEMORY * (estimated - self.estimated)
        self.actual += _SCALE_MEMORY * (actual - self.actual)

    @property
    def factor(self) -> float:
        return min(_MAX_SCALE, max(1.0 / _MAX_SCALE, self.actual / self.estimated))


class Lengths:
    """Asked for every job, told of every usage."""

    def __init__(self) -> None:
        self._answers: dict[_Key, _Length] = {}
        self._prompts: dict[_PromptKey, _Length] = {}
        """By the first block of the prompt too. Apart, so that prompts that are all different push nobody out."""
        self._scales: dict[_Key, _Scale] = {}

    def answer(self, job: Job) -> tuple[float, float]:
        """Expected and .9 quantile of the answer's tokens, at most what the client asked for."""
        known = (
            self._seen_prompt(job)
            or self._seen((job.tenant, job.traffic_class, job.endpoint, job.model))
            or self._seen((job.traffic_class, job.endpoint, job.model))
            or self._seen((job.traffic_class,))
        )
        median, high = (_UNKNOWN_MEDIAN, _UNKNOWN_HIGH) if known is None else (known.median, known.high)
        most = job.max_tokens
        return (median, high) if most is None else (min(median, most), min(high, most))

    def _seen(self, key: _Key) -> _Length | None:
        known = self._answers.get(key)
        return known if known is not None and known.samples >= _SEEN_ENOUGH else None

    def _seen_prompt(self, job: Job) -> _Length | None:
        """What begins with the same block has the same tools and system prompt, and asks for answers of one kind."""
        known = self._prompts.get(_prompt_key(job)) if job.prefix else None
        return known if known is not None and known.samples >= _SEEN_ENOUGH else None

    def prompt(self, job: Job) -> tuple[float, float]:
        """Tokens of the prompt, and the factor by which estimates for its model are off."""
        scale = self._scales.get((job.model,))
        factor = scale.factor if scale else 1.0
        return max(1.0, estimated(job) * factor), factor

    def learn(self, job: Job, prompt_tokens: int | None, output_tokens: int | None) -> None:
        """The engine told its usage."""
        if output_tokens is not None and output_tokens >= 0:
            tokens = max(1.0, float(output_tokens))
            for key in _keys(job):
                (_used(self._answers, key) or _new(self._answers, key, _Length(tokens))).learn(tokens)
            if job.prefix:
                by_prompt = _prompt_key(job)
                (_used(self._prompts, by_prompt) or _new(self._prompts, by_prompt, _Length(tokens))).learn(tokens)
        if prompt_tokens is not None and prompt_tokens > 0 and estimated(job) > 0:
            of_model = (job.model,)
            scale = _used(self._scales, of_model) or _new(self._scales, of_model, _Scale())
            scale.learn(estimated(job), prompt_tokens)

    def numbers(self) -> list[list[Any]]:
        """Rows of key, median, .9 quantile and samples."""
        return [[*key, known.median, known.high, float(known.samples)] for key, known in self._answers.items()]

    def restore(self, key: _Key, median: float, high: float, samples: float) -> None:
        """A row of an earlier life, believed as far as one that was just seen often enough."""
        known = _Length(max(1.0, median))
        known.high, known.samples = max(known.median, high), min(_SEEN_ENOUGH, int(samples))
        self._answers[key] = known

    def scales(self) -> list[list[Any]]:
        """Rows of model, actual and estimated tokens of prompts."""
        return [[*key, known.actual, known.estimated] for key, known in self._scales.items()]

    def rescale(self, model: str, actual: float, estimated: float) -> None:
        """A row of an earlier life."""
        known = self._scales[(model,)] = _Scale()
        known.actual, known.estimated = actual, estimated


def estimated(job: Job) -> float:
    """Tokens of the prompt as far as its size tells."""
    return float(job.prompt_tokens) or job.body_bytes / _BYTES_PER_TOKEN


def _keys(job: Job) -> tuple[_Key, ...]:
    return (
        (job.tenant, job.traffic_class, job.endpoint, job.model),
        (job.traffic_class, job.endpoint, job.model),
        (job.traffic_class,),
    )


def _prompt_key(job: Job) -> _PromptKey:
    return job.tenant, job.traffic_class, job.endpoint, job.model, job.prefix[0]


def _used(known: "dict[_K, _T]", key: _K) -> "_T | None":
    """What is known of `key`. The order of use is kept once somebody may soon have to be forgotten: it costs more than
    all the rest."""
    entry = known.get(key)
    if entry is not None and len(known) > _ORDERED_FROM:
        del known[key]
        known[key] = entry
    return entry


def _new(known: "dict[_K, _T]", key: _K, entry: "_T") -> "_T":
    if len(known) >= MAX_KEYS:
        del known[next(iter(known))]
    known[key] = entry
    return entry
