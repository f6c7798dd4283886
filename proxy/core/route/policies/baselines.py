"""What other routers do, as published, on our own books: to be compared with in the same harness.

Owns their formulas and constants. None of them admits or refuses.
"""

from collections.abc import Sequence
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.rng import Rng

_BALANCE_ABS: Final = 64
_BALANCE_REL: Final = 1.5
_CACHE_THRESHOLD: Final = 0.3
_PREFIX_WEIGHT: Final = 3.0
_KV_WEIGHT: Final = 2.0
_QUEUE_WEIGHT: Final = 2.0
_OVERLAP_WEIGHT: Final = 1.0
_BLOCK_TOKENS: Final = 16.0
_UNKNOWN_KV: Final = 300_000.0


def uniform(candidates: Sequence[Backend], _ask: Demand, rng: Rng) -> Backend:
    """Any of them."""
    return candidates[rng.randrange(len(candidates))]


def prefix_cache_aware(candidates: Sequence[Backend], demand: Demand, rng: Rng) -> Backend:
    """SGLang's router (sgl-model-gateway, its command line's defaults): the longest prefix when more than .3 of the
    prompt match, else the fewest requests; always the fewest requests once loads differ by more than 64 and by half.
    Its older versions sent what matches nowhere to the smallest record instead, whatever waits there."""
    loads = [b.in_flight for b in candidates]
    most, least = max(loads), min(loads)
    if most - least <= _BALANCE_ABS or most <= _BALANCE_REL * least:
        best = max(candidates, key=_hit)
        if best.forecast.hit > _CACHE_THRESHOLD * demand.prompt:
            return best
    return candidates[_first_of_best(loads, rng)]


def weighted_scores(candidates: Sequence[Backend], demand: Demand, rng: Rng) -> Backend:
    """llm-d's defaults: prefix 3, free KV 2, short queue 2; each score between 0 and 1."""
    queues = [len(b.ledger.pending) for b in candidates]
    shortest, span = min(queues), max(queues) - min(queues)

    def score(position: int) -> float:
        backend = candidates[position]
        free_kv = max(0.0, 1.0 - backend.ledger.kv / (backend.kv_tokens or _UNKNOWN_KV))
        short = 1.0 - (queues[position] - shortest) / span if span else 1.0
        return _PREFIX_WEIGHT * backend.forecast.hit / demand.prompt + _KV_WEIGHT * free_kv + _QUEUE_WEIGHT * short

    return candidates[_first_of_best([-score(i) for i in range(len(candidates))], rng)]


def kv_cost(candidates: Sequence[Backend], _ask: Demand, rng: Rng) -> Backend:
    """Dynamo's linear cost: blocks still to prefill, the newcomer's included, plus blocks in use."""
    costs = [
        (_OVERLAP_WEIGHT * (b.ledger.pending_fresh + b.forecast.fresh) + b.ledger.kv) / _BLOCK_TOKENS
        for b in candidates
    ]
    return candidates[_first_of_best(costs, rng)]


def least_pending_prefill(candidates: Sequence[Backend], _ask: Demand, rng: Rng) -> Backend:
    """Fewest prompt tokens to compute, the newcomer's included; of several the one with the fewest requests: where all
    prompts are computed soon, answers are all that differs."""
    pending = [b.ledger.pending_fresh + b.forecast.fresh for b in candidates]
    least = min(pending)
    tied = [b for b, tokens in zip(candidates, pending, strict=True) if tokens == least]
    return tied[_first_of_best([b.in_flight for b in tied], rng)]


def _first_of_best(costs: Sequence[float], rng: Rng) -> int:
    least = min(costs)
    best = [i for i, cost in enumerate(costs) if cost == least]
    return best[0] if len(best) == 1 else best[rng.randrange(len(best))]


def _hit(backend: Backend) -> float:
    return backend.forecast.hit
