"""The constants of an engine from its calls: least squares without negative numbers, then against the engine model.

    1  who was beside whom gives one equation per call (`company`); solved robustly, non-negative
    2  the calls are replayed on the modelled engine, and the constants moved until its times are those of the log

Owns the search. The engine model is a function that is handed in: calls and constants → times. Needs scipy (extra
`tidegate[bench]`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import numpy as np

from proxy.bench.forecast.calls import Call
from proxy.bench.forecast.company import UNKNOWNS, equations, most_at_once

LEAST_CALLS: Final = 40
"""To fit six constants to, of one backend."""
REFINED_CALLS: Final = 600
"""Replayed in each turn of the search: the last ones that are fitted."""
BUDGETS: Final = (2048, 512, 1024, 4096, 8192, 16384)
"""Tokens per step that engines are usually told; the most usual first."""
_TRIED: Final = 2
"""Beginnings, the best ones, from which the search sets out."""
_TRIES: Final = 80
"""Replays in one search."""
_NEAR: Final = 0.02
_FAR: Final = 0.1
"""Logarithms: by so much a constant may be moved from what the equations say."""
_ROBUST_TURNS: Final = 8
_SEATS: Final = 256
"""Where no limit shows: vLLM's default."""
_DOUBT: Final = 1.05


class Times(NamedTuple):
    """Of one call on the modelled engine, on the model's clock."""

    sent: float
    first: float
    done: float


@dataclass(frozen=True, slots=True)
class Constants:
    """Of one engine; the names are those of the model."""

    prefill_s_per_token: float
    prefill_s_per_token2: float
    step_s: float
    step_s_per_sequence: float
    step_s_per_kv_token: float
    request_s: float = 0.0
    token_budget: int = BUDGETS[0]
    max_num_seqs: int = _SEATS
    is_seated: bool = False
    """`max_num_seqs` shows in the log; else it is what engines have by default."""


_PUBLISHED: Final = Constants(0.057e-3, 0.0044e-6, 0.0106, 0.000419, 1.42e-7)
"""Of one model on one card: those that the modelled engine has by default."""
_TOLD_APART: Final = ((2, 3), (3, 4))
"""Columns of `UNKNOWNS`."""
_WEAKLY: Final = 0.05
"""Of a call's time. Twice as much moves what a log does tell apart."""

Replay = Callable[[Constants, Sequence[Call]], Sequence[Times]]
"""The times that these calls, sent as they were sent, have on an engine of these constants."""


def fit(calls: Sequence[Call], replay: Replay) -> Constants:
    """Of calls to one backend, in order of time. Raises ValueError for fewer than `LEAST_CALLS` to judge by."""
    judged = sum(call.is_judged for call in calls)
    if judged < LEAST_CALLS:
        raise ValueError(f"{judged} calls to fit to; at least {LEAST_CALLS} are needed")
    few = calls[-REFINED_CALLS:]
    most = most_at_once(calls)
    starts = [
        replace(_solved(calls, budget), max_num_seqs=seats, is_seated=seats == most)
        for budget in BUDGETS
        for seats in {most, _SEATS}
        if budget > seats
    ]
    starts.sort(key=lambda one: loss(few, replay(one, few)))
    found = _best([_refined(one, few, replay) for one in starts[:_TRIED]], few, replay)
    return _best([found, *_neighbours(found, most)], few, replay)


def _neighbours(found: Constants, most: int) -> list[Constants]:
    """The same with other bounds of a step."""
    return [
        replace(found, token_budget=budget, max_num_seqs=seats, is_seated=seats != _SEATS)
        for budget in BUDGETS
        for seats in (_SEATS, most, most + 1)
        if budget > seats
    ]


def _best(candidates: Sequence[Constants], calls: Sequence[Call], replay: Replay) -> Constants:
    """A limit of seats is believed where it explains more than chance would."""
    by_loss = [(loss(calls, replay(one, calls)) * (_DOUBT if one.is_seated else 1.0), one) for one in candidates]
    return min(by_loss, key=lambda pair: pair[0])[1]


def loss(calls: Sequence[Call], times: Sequence[Times]) -> float:
    """How far the replayed times are from those of the log; a single call that is far off counts little."""
    off = _residuals(calls, times)
    return float(np.mean(np.log1p((off / _SOFT) ** 2)))


_SOFT: Final = 0.1
"""Relative error from which a call counts less than by its square."""


def _residuals(calls: Sequence[Call], times: Sequence[Times]) -> Any:
    """Logarithms of modelled over recorded: first tokens, then the rest of the answers."""
    pairs = [(call, time) for call, time in zip(calls, times, strict=True) if call.is_judged]
    first = [(time.first - time.sent, call.ttft_s) for call, time in pairs]
    rest = [(time.done - time.first, call.done - call.first) for call, time in pairs if call.output > 1]
    both = np.maximum(np.array(first + rest), 1e-4)
    return np.log(both[:, 0] / both[:, 1])


def _solved(calls: Sequence[Call], budget: int) -> Constants:
    """Non-negative least squares, weighed anew so that what does not fit counts less."""
    from scipy.optimize import nnls

    rows, sums = equations(calls, budget)
    scale = np.maximum(np.abs(rows).mean(axis=0), 1e-30)
    usual = _usual(scale) * np.sqrt(len(rows))
    weights = np.ones(len(rows))
    solution = np.zeros(len(UNKNOWNS))
    for _ in range(_ROBUST_TURNS):
        weighed = np.vstack([(rows / scale) * weights[:, None], usual])
        solution, _ = nnls(weighed, np.concatenate([sums * weights, np.zeros(len(usual))]))
        off = np.abs((rows / scale) @ solution - sums)
        typical = max(1e-6, 1.5 * float(np.median(off)))
        weights = np.sqrt(np.minimum(1.0, typical / np.maximum(off, 1e-12)))
    values: dict[str, Any] = dict(zip(UNKNOWNS, map(float, solution / scale), strict=True))
    values["step_s"] = max(values["step_s"], 1e-5)
    return Constants(**values, token_budget=budget)


def _usual(scale: Any) -> Any:
    """Weak equations: a step, a sequence and a token in it cost in the proportion of the published constants. They tell
    apart what a log does not: at an engine that is always full all three are one number."""
    rows = np.zeros((len(_TOLD_APART), len(UNKNOWNS)))
    for row, (one, other) in zip(rows, _TOLD_APART, strict=True):
        shares = [getattr(_PUBLISHED, UNKNOWNS[column]) * scale[column] for column in (one, other)]
        row[one], row[other] = shares[1] / sum(shares), -shares[0] / sum(shares)
    return _WEAKLY * rows


def _refined(start: Constants, calls: Sequence[Call], replay: Replay) -> Constants:
    """Moved a little until the model's times are those of the log. By trying: who shares a step with whom turns on a
    millisecond, so there is no slope; and not far, or the constants would follow such accidents."""
    from scipy.optimize import minimize

    size = len(UNKNOWNS)
    before = np.array([getattr(start, name) for name in UNKNOWNS])

    def constants(logs: Any) -> Constants:
        moved = before * np.exp(np.clip(logs, -_FAR, _FAR))
        values: dict[str, Any] = dict(zip(UNKNOWNS, map(float, moved), strict=True))
        return replace(start, **values)

    tried = minimize(
        lambda logs: loss(calls, replay(constants(logs), calls)),
        np.zeros(size),
        method="Nelder-Mead",
        options={"maxfev": _TRIES, "initial_simplex": np.vstack([np.zeros(size), _NEAR * np.eye(size)])},
    ).x
    return _best([start, constants(tried)], calls, replay)
