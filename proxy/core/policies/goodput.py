"""The default: in seconds, where the job delays itself and others least; bulk where it is packed best."""

from collections.abc import Sequence
from math import inf

from proxy.core.backend import Backend
from proxy.core.foresight import Ask
from proxy.core.rng import Rng

_UNKNOWN_SEATS = 64.0


def goodput(candidates: Sequence[Backend], ask: Ask, rng: Rng) -> Backend:
    """Interactive: least (backlog + 2 · own prefill) · √(1 + in flight); ties go to the least KV in use. Bulk among
    fitting backends: highest throughput, then the most loaded, so that the others stay free."""
    if ask.bulk and ask.fitted:
        return max(candidates, key=packing)
    least, ties = inf, 1
    chosen = candidates[0]
    for backend in candidates:
        score = backend.outlook.score
        if score > least:
            continue
        if score < least or backend.ledger.kv < chosen.ledger.kv:
            least, ties, chosen = score, 1, backend
        elif backend.ledger.kv == chosen.ledger.kv:  # equals share, so that several proxies do not herd
            ties += 1
            chosen = backend if not rng.randrange(ties) else chosen
    return chosen


def packing(backend: Backend) -> tuple[int, int, float]:
    """Throughput in steps of a quarter, requests in flight, prefill saved."""
    seats = backend.seats or _UNKNOWN_SEATS
    base, batch = backend.model.decode[:2]
    step = max(1e-4, base + batch * seats * 0.1) * backend.model.slow_decode
    return int(4 * seats / step / 1000), backend.in_flight, -backend.outlook.cost
