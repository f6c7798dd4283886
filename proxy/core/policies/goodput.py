"""The default: in seconds, where the job delays itself and others least; bulk where it is packed best."""

from collections.abc import Sequence
from math import inf

from proxy.core.backend import Backend
from proxy.core.foresight import Ask
from proxy.core.rng import Rng


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
    """Throughput in steps of a quarter, requests in flight, prefill saved. Where the engine's seats are not known its
    ceiling is not either: then what chats want least goes first, the slowest step."""
    base, batch = backend.model.decode[:2]
    if backend.seats is None:
        rank = int(base * 400)
    else:
        rank = int(backend.seats / max(1e-4, base + batch * backend.seats * 0.1) / 250)
    return rank, backend.in_flight, -backend.outlook.cost
