"""Who was computed beside whom on one backend, read off the times of its calls.

    decoding   first .. done, one token a step
    prefill    ends at `first`; its work is booked there

Owns the equations in which an engine's constants are the unknowns: the time of a call as steps, sequences beside it,
context beside it, prompt tokens computed meanwhile, and what it costs before its engine has it. Needs numpy (extra
`tidegate[bench]`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from proxy.bench.forecast.calls import Call

UNKNOWNS = (
    "prefill_s_per_token",
    "prefill_s_per_token2",
    "step_s",
    "step_s_per_sequence",
    "step_s_per_kv_token",
    "request_s",
)
"""The columns, in this order."""
_MIDDLE_OF_A_STEP = 0.5
"""A newcomer waits for the step that is being computed."""


def equations(calls: Sequence[Call], token_budget: int) -> tuple[Any, Any]:
    """Rows and what they add up to, seconds: for each judged call the time to its first token, unless another prompt
    was before it or came beside it, and the rest of it. Both are divided by that time, so that each row says 1 and
    counts alike."""
    beside = _Beside(calls)
    sent, first = np.sort([call.sent for call in calls]), np.sort([call.first for call in calls])
    rows: list[Any] = []
    for call in calls:
        if not call.is_judged:
            continue
        before = np.searchsorted(sent, call.sent, side="right") - np.searchsorted(first, call.sent, side="right")
        beside_it = np.searchsorted(first, call.first, side="right") - np.searchsorted(first, call.sent, side="right")
        if call.ttft_s > 0 and before == beside_it == 1:
            steps = -(-call.computed // token_budget) + _MIDDLE_OF_A_STEP
            rows.append(beside.row(call.sent, call.first, steps, 1.0, include=True) / call.ttft_s)
        decoded_s = call.done - call.first
        if call.output > 1 and decoded_s > 0:
            rows.append(beside.row(call.first, call.done, call.output - 1, 0.0, include=False) / decoded_s)
    return np.array(rows).reshape(-1, len(UNKNOWNS)), np.ones(len(rows))


def most_at_once(calls: Sequence[Call]) -> int:
    """Answers that were computed at the same time."""
    firsts = np.sort([call.first for call in calls])
    ends = np.sort([call.done for call in calls])
    return int((np.arange(1, len(calls) + 1) - np.searchsorted(ends, firsts, side="right")).max())


class _Beside:
    """Integrals over the time of one backend."""

    def __init__(self, calls: Sequence[Call]) -> None:
        first = np.array([call.first for call in calls])
        done = np.array([call.done for call in calls])
        context = np.array([call.prompt + call.output / 2 for call in calls])
        self._times = np.concatenate([first, done])
        order = np.argsort(self._times, kind="stable")
        self._times = self._times[order]
        ones = np.ones(len(calls))
        self._batch = np.concatenate([ones, -ones])[order].cumsum()
        self._kv = np.concatenate([context, -context])[order].cumsum()
        spans = np.diff(self._times, append=self._times[-1])
        self._batch_s = np.concatenate([[0.0], (self._batch * spans).cumsum()])
        self._kv_s = np.concatenate([[0.0], (self._kv * spans).cumsum()])
        by_first = np.argsort(first, kind="stable")
        computed = np.array([call.computed for call in calls], dtype=float)[by_first]
        prompt = np.array([call.prompt for call in calls], dtype=float)[by_first]
        cached = prompt - computed
        self._first = first[by_first]
        self._tokens = np.concatenate([[0.0], computed.cumsum()])
        self._tokens2 = np.concatenate([[0.0], (prompt * prompt - cached * cached).cumsum()])

    def row(self, start: float, end: float, steps: float, requests: float, *, include: bool) -> Any:
        """What was computed from `start` to `end`, in which a call had so many steps. `include`: its own prefill,
        which ends at `end`, belongs to it."""
        side = "right" if include else "left"
        low = int(np.searchsorted(self._first, start, side="right"))
        high = max(low, int(np.searchsorted(self._first, end, side=side)))  # type: ignore[call-overload]
        batch, kv = self._mean(self._batch, self._batch_s, start, end), self._mean(self._kv, self._kv_s, start, end)
        decodes = steps if batch > 0 else 0.0
        tokens, tokens2 = self._tokens[high] - self._tokens[low], self._tokens2[high] - self._tokens2[low]
        return np.array([tokens, tokens2, decodes, steps * batch, steps * kv, requests])

    def _mean(self, values: Any, integral: Any, start: float, end: float) -> float:
        return (self._until(values, integral, end) - self._until(values, integral, start)) / max(1e-9, end - start)

    def _until(self, values: Any, integral: Any, at: float) -> float:
        index = int(np.searchsorted(self._times, at, side="right"))
        if not index:
            return 0.0
        return float(integral[index - 1] + values[index - 1] * (at - self._times[index - 1]))
