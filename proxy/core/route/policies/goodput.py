"""The default: in seconds, where the job delays itself and others least; bulk where it is packed best."""

from collections.abc import Sequence
from math import inf, log
from typing import Final

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.fleet.headroom import speed_s
from proxy.core.rng import Rng

_STEPS: Final = 1 / log(1.5)


def goodput(candidates: Sequence[Backend], demand: Demand, rng: Rng) -> Backend:
    """Interactive: least (backlog + 2 · own prefill) · √(1 + in flight); ties go to the least KV in use. Bulk among
    fitting backends: not on what is kept for others, on the slowest, so that the others stay free, and of equals where
    it ends soonest."""
    if demand.bulk and demand.fitted:
        return max(candidates, key=lambda b: packing(b, demand))
    least, ties = inf, 1
    chosen = candidates[0]
    for backend in candidates:
        score = backend.forecast.score
        if score > least:
            continue
        if score < least or backend.ledger.kv < chosen.ledger.kv:
            least, ties, chosen = score, 1, backend
        elif backend.ledger.kv == chosen.ledger.kv:  # equals share, so that several proxies do not herd
            ties += 1
            chosen = backend if not rng.randrange(ties) else chosen
    return chosen


def packing(backend: Backend, demand: Demand) -> tuple[bool, int, float]:
    """Where bulk fits best, as a key: speed counts in steps of a half."""
    slowness = round(log(speed_s(backend)) * _STEPS)
    return backend not in demand.kept, slowness, -(backend.forecast.ttft + demand.answer * backend.forecast.tpot)
