"""Which series of two runs are compared with each other: those under the same conditions but for what is being changed.

Owns that choice, and the words for what has no counterpart.
"""

from collections.abc import Sequence

from proxy.bench.series import Conditions, Series


def matched(base: Sequence[Series], new: Sequence[Series]) -> tuple[list[tuple[Series, Series]], list[Series]]:
    """Pairs in the order of `base`, and what is left of both.

    Of equal cache state, load, window, workload and side; the server, the model, its precision and other settings may
    be what was changed, and matter only where several series would do.
    """
    left = list(new)
    pairs, alone = [], []
    for one in base:
        candidates = [other for other in left if _must(other.conditions) == _must(one.conditions)]
        if not candidates:
            alone.append(one)
            continue
        best = max(candidates, key=lambda other: _alike(one.conditions, other.conditions))
        left.remove(best)
        pairs.append((one, best))
    return pairs, [*alone, *left]


def _must(conditions: Conditions) -> tuple[object, ...]:
    return (
        conditions.cache,
        conditions.load,
        conditions.load_unit,
        conditions.window_ms,
        conditions.workload,
        conditions.side,
    )


def _alike(one: Conditions, other: Conditions) -> int:
    return sum(getattr(one, name) == getattr(other, name) for name in ("model", "precision", "server", "settings"))
