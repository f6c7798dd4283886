"""What work costs on one backend, learned from its own answers: seconds of a prefill, seconds per output token.

Owns the features, the priors and the bounds of predictions. A backend starts from the mean of its pool and trusts its
own samples more the more there are; a fast ratio of truth to prediction (`drift`) catches what the slow regression
cannot, such as an engine that becomes five times slower without a word.
"""

from collections.abc import Sequence
from typing import Final

from proxy.core.learn.calibration import Calibration
from proxy.core.learn.rls import Rls

PREFILL_START: tuple[float, ...] = (0.02, 1.0, 0.2, 0.0)
"""Seconds; per 10k tokens to compute; per 1e8 of L² - h²; per 1e6 of tokens x decoding requests. Only the first
requests of all are judged by it, and admission refuses nobody on it."""
DECODE_START: tuple[float, ...] = (0.02, 0.005, 0.01, 1.0)
"""Seconds per token; per 10 decoding; per 1e5 tokens of KV in use; per second of prefill work and
token."""
_PREFILL_VARIANCE: tuple[float, ...] = (0.01, 1.0, 1.0, 1.0)
_DECODE_VARIANCE: tuple[float, ...] = (1e-3, 1e-4, 1e-3, 0.1)
"""Firm enough that the first short answers of an onset do not make a step cheaper the more decode in it; a few answers
outweigh it."""
_DECODE_NOISE: Final = 1e-5
"""Variance of a request's mean time per token that the features do not explain, seconds²."""
_PRIOR_SAMPLES: Final = 30
FULL_TRUST: Final = 4 * _PRIOR_SAMPLES
"""Samples after which a backend is judged by its own alone."""
_DOUBT: Final = 10.0
"""Variances of an earlier life count so many times: what took 500 samples to learn weighs as much as 50."""
_NEWS: Final = 1.1
_POOL_LEARNT: Final = 1000
_POOL_SHARE: Final = 4
"""Once it has seen enough, a pool learns from one sample in so many."""
MIN_PREFILL_S: Final = 1e-3
MAX_PREFILL_S: Final = 600.0
MIN_TPOT_S: Final = 1e-4
MAX_TPOT_S: Final = 10.0

_ANOTHER_KIND: Final = 3.0
"""An engine whose last few prefills took so many times what was predicted is of another kind than it was taken for: 10k
tokens take a card half a second, a processor ten. Not the other way round: an engine that looks quicker than any would
have its prefixes taken for worth nothing, and what was believed is unlearned soon enough."""
_OPEN: Final = 100.0
"""Variance of the seconds per 10k tokens of such an engine: its own samples tell."""
_CALM: Final = 1.25
"""A drift up to this is noise."""
_MAX_DRIFT: Final = 50.0

Features = tuple[float, float, float, float]


def prefill_features(fresh: float, squares: float, decoding: float) -> Features:
    """`fresh` tokens to compute, `squares` = L² - h², beside so many decoding requests."""
    return 1.0, fresh * 1e-4, squares * 1e-8, fresh * decoding * 1e-6


def decode_features(decoding: float, kv_tokens: float, prefill_s: float) -> Features:
    """So many requests decode, with so much KV, while so many seconds per token go into prefills."""
    return 1.0, decoding * 0.1, kv_tokens * 1e-5, prefill_s


class Drift:
    """Σ truth ÷ Σ prediction over the last few samples."""

    __slots__ = ("_floor", "_keep", "actual", "predicted")

    def __init__(self, keep: float, floor: float) -> None:
        self._keep = keep
        self._floor = floor
        self.actual = self.predicted = floor

    def learn(self, predicted: float, actual: float) -> None:
        """One more."""
        self.actual = self._keep * self.actual + actual + (1 - self._keep) * self._floor
        self.predicted = self._keep * self.predicted + predicted + (1 - self._keep) * self._floor

    def ratio(self, predicted: float = 0.0, actual: float = 0.0) -> float:
        """With a sample that is not over yet but is late already."""
        return (self.actual + actual) / (self.predicted + predicted)


class Costs:
    """Prefill and decode of one backend, or of a whole pool."""

    __slots__ = ("decode", "prefill")

    def __init__(self) -> None:
        self.prefill = Rls(PREFILL_START, _PREFILL_VARIANCE)
        self.decode = Rls(DECODE_START, _DECODE_VARIANCE)

    def numbers(self) -> list[float]:
        """Of prefill, then of decode: coefficients, variances, samples."""
        return [*self.prefill.numbers(), *self.decode.numbers()]

    def restore(self, numbers: Sequence[float]) -> None:
        """`numbers` of an earlier life: a start that is left sooner than it was reached."""
        self.prefill.restore(numbers[:9], _DOUBT, FULL_TRUST)
        self.decode.restore(numbers[9:], _DOUBT, FULL_TRUST)


class PoolModel(Costs):
    """The mean of a pool: what its backends start from, and how good its predictions are."""

    __slots__ = ("calibration",)

    def __init__(self) -> None:
        super().__init__()
        self.calibration = Calibration()
        """Of times to first token."""

    def hears(self, number: int) -> bool:
        """Whether it learns from a backend's sample of that number."""
        return self.prefill.samples < _POOL_LEARNT or not number % _POOL_SHARE


class CostModel:
    """One backend."""

    __slots__ = (
        "_flow",
        "_own",
        "calibration",
        "decode",
        "decode_drift",
        "decode_samples",
        "pool",
        "prefill",
        "prefill_drift",
        "samples",
        "slow",
        "slow_decode",
        "stale_at",
    )

    def __init__(self, pool: PoolModel) -> None:
        self.pool = pool
        self._own: Costs | None = None
        self.stale_at = 0
        """Samples of the pool at which its mean is news."""
        self.prefill: list[float] = []
        """Coefficients in force."""
        self.decode: list[float] = []
        self.prefill_drift = Drift(0.85, 0.05)
        self.decode_drift = Drift(0.8, 0.01)
        self.calibration = Calibration()
        self.samples = 0
        """Prefills seen."""
        self.decode_samples = 0
        """Answers seen to their end, and before enough of them were, seconds of those that flow."""
        self.slow = 1.0
        """Factor on predicted prefills by what the last few took."""
        self.slow_decode = 1.0
        """The same for seconds per token, or by what flows now."""
        self._flow = 1.0
        self._blend()

    def joins(self, pool: PoolModel) -> None:
        """It belongs to another pool now, whose mean counts as far as there is little of its own."""
        self.pool = pool
        self._blend()

    def refresh(self) -> None:
        """Look at the pool again, while there is little of our own; cheap to call when there is little news."""
        if self.samples < FULL_TRUST and self.pool.prefill.samples >= self.stale_at:
            self._blend()

    def learn_prefill(self, x: Features, actual: float) -> None:
        """A prefill took so long since the engine was free for it."""
        self.prefill_drift.learn(bounded_prefill(_dot(self.prefill, x)), actual)
        ratio = self.prefill_drift.ratio()
        self.slow = significant(ratio)
        self.samples += 1
        if self.samples < FULL_TRUST and ratio >= _ANOTHER_KIND:
            self._begins_anew()
        weight = 1.0 / (0.1 + actual * actual)
        if self.pool.hears(self.samples):
            self.pool.prefill.learn(x, actual, weight)
        self._costs().prefill.learn(x, actual, weight)
        self._blend()

    def learn_decode(self, x: Features, actual: float) -> None:
        """An answer had so many seconds per token, among what `x` says on average."""
        self.decode_drift.learn(bounded_tpot(_dot(self.decode, x)), actual)
        self.flows(self._flow)
        self.learn_flow(x, actual)

    def learn_flow(self, x: Features, actual: float) -> None:
        """The same of answers that go on, lately."""
        self.decode_samples += 1
        weight = 1.0 / (_DECODE_NOISE + 0.1 * actual * actual)
        if self.pool.hears(self.decode_samples):
            self.pool.decode.learn(x, actual, weight)
        self._costs().decode.learn(x, actual, weight)
        self._blend()

    def flows(self, slow: float) -> None:
        """Answers that flow now are so many times slower than predicted, and 1 if they are not."""
        self._flow = slow
        self.slow_decode = max(slow, significant(self.decode_drift.ratio()))

    def base_s(self) -> float:
        """Seconds of a prefill that has nothing to compute."""
        return self.prefill[0]

    def work_s(self, fresh: float, squares: float) -> float:
        """Seconds that computing `fresh` tokens takes on top of that; `squares` = L² - h²."""
        return self.prefill[1] * fresh * 1e-4 + self.prefill[2] * squares * 1e-8

    def beside_s(self, fresh: float, decoding: float) -> float:
        """Seconds more, since so many requests decode meanwhile."""
        return self.prefill[3] * fresh * decoding * 1e-6

    def per_request_s(self, context: float = 0.0) -> float:
        """Seconds by which one request more, with so many tokens of context, makes a decode step longer."""
        return self.decode[1] * 0.1 + self.decode[2] * context * 1e-5

    def bare_step_s(self) -> float:
        """Seconds of a decode step that nobody is in."""
        return self.decode[0]

    def stretch(self) -> float:
        """Seconds by which a second of prefill delays those that decode."""
        return self.decode[3]

    def prefill_s(self, tokens: float) -> float:
        """Seconds of a whole prompt of so many tokens, nothing of it cached and nobody beside it."""
        return bounded_prefill(_dot(self.prefill, prefill_features(tokens, tokens * tokens, 0.0))) * self.slow

    def step_s(self, decoding: float, kv_tokens: float) -> float:
        """Seconds of a decode step of so many requests with so much KV, as learned from what has ended."""
        base, batch, context, _ = self.decode
        return min(MAX_TPOT_S, max(MIN_TPOT_S, base + batch * decoding * 0.1 + context * kv_tokens * 1e-5))

    def tokens(self, seconds: float, decoding: float, kv_tokens: float, prefill_s: float) -> float:
        """About so many that came in `seconds` among so many, while so many seconds went into prefills."""
        return max(0.0, seconds - self.stretch() * prefill_s) / (self.step_s(decoding, kv_tokens) * self.slow_decode)

    def notice(self, x: Features, actual: float) -> None:
        """A prefill was seen whose prefix hit is not known yet: `x` is without any. Slower than even that says so."""
        predicted = bounded_prefill(_dot(self.prefill, x))
        if actual > predicted:
            self.late(predicted, actual)

    def late(self, predicted: float, spent: float) -> None:
        """A prefill was given up that had already taken longer than predicted."""
        self.prefill_drift.learn(predicted, spent)
        self.slow = significant(self.prefill_drift.ratio())

    def learn_ttft(self, predicted: float, actual: float) -> None:
        """A time to first token came true, or did not."""
        self.calibration.learn(predicted, actual)
        self.pool.calibration.learn(predicted, actual)

    def numbers(self) -> list[float]:
        """Of its own costs; empty before the first sample."""
        return [] if self._own is None else self._own.numbers()

    def restore(self, numbers: Sequence[float]) -> None:
        """`numbers` of an earlier life."""
        self._own = own = Costs()
        own.restore(numbers)
        self.samples, self.decode_samples = own.prefill.samples, own.decode.samples
        self._blend()

    def _begins_anew(self) -> None:
        """What a token takes is not at all what it was taken for."""
        self._costs().prefill.loosen(_OPEN)
        if self.pool.prefill.samples < FULL_TRUST:
            self.pool.prefill.loosen(_OPEN)

    def _costs(self) -> Costs:
        if self._own is None:
            self._own = Costs()
            self._own.prefill.coefficients = list(self.pool.prefill.coefficients)
            self._own.decode.coefficients = list(self.pool.decode.coefficients)
        return self._own

    def _blend(self) -> None:
        pool, own = self.pool, self._own
        self.stale_at = int(pool.prefill.samples * _NEWS) + 1
        if own is None:
            self.prefill, self.decode = list(pool.prefill.coefficients), list(pool.decode.coefficients)
            return
        self.prefill = _between(pool.prefill, own.prefill)
        self.decode = _between(pool.decode, own.decode)


def significant(ratio: float) -> float:
    """What is left of a ratio of truth to prediction when noise is left out: 1 unless things got slower."""
    return min(_MAX_DRIFT, ratio / _CALM) if ratio > _CALM else 1.0


def bounded_prefill(seconds: float) -> float:
    """A prediction within reason."""
    return min(MAX_PREFILL_S, max(MIN_PREFILL_S, seconds))


def bounded_tpot(seconds: float) -> float:
    """A prediction within reason."""
    return min(MAX_TPOT_S, max(MIN_TPOT_S, seconds))


def _between(prior: Rls, own: Rls) -> list[float]:
    if own.samples >= FULL_TRUST:
        return own.coefficients
    share = own.samples / (own.samples + _PRIOR_SAMPLES)
    p, q, r, s = prior.coefficients
    t, u, v, w = own.coefficients
    return [p + share * (t - p), q + share * (u - q), r + share * (v - r), s + share * (w - s)]


def _dot(coefficients: list[float], x: Features) -> float:
    return coefficients[0] + coefficients[1] * x[1] + coefficients[2] * x[2] + coefficients[3] * x[3]
