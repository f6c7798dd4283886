"""Recorded calls on the modelled engine: what `calibrate` fits and judges by.

Each is sent as long after what its engine last did (a first token, an end) as it was in the log, so that it finds about
as many others there. Sent by the clock alone, calls would pile up in a model that is 2 % too slow where the engine was
just full: the proxy that sent them waited for it.

What an engine had of a prompt in its cache is taken from the log. How much memory it has for KV does not show there,
and is taken for enough.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from typing import Final, NamedTuple

from proxy.bench.forecast.calls import Call
from proxy.bench.forecast.fitting import Constants, Times
from proxy.sim.engine.engine import Engine
from proxy.sim.engine.sequence import Emitted, Reporting, SimRequest
from proxy.sim.engine.spec import EngineSpec

_BASE = EngineSpec()
_ENOUGH = 1 << 30
"""Tokens of KV."""
_SAME_MOMENT_S: Final = 0.002
"""What the engine did so shortly afterwards may be what a call was sent upon: a log has whole milliseconds."""


class _Upon(NamedTuple):
    """When a call is sent: so long after something that another one had. Of none: at that moment."""

    call: int
    what: str
    gap_s: float


def spec_of(constants: Constants, longest: int) -> EngineSpec:
    """An engine of these constants that takes calls of so many tokens."""
    return replace(
        _BASE,
        prefill_s_per_token=constants.prefill_s_per_token,
        prefill_s_per_token2=constants.prefill_s_per_token2,
        step_s=constants.step_s,
        step_s_per_sequence=constants.step_s_per_sequence,
        step_s_per_kv_token=constants.step_s_per_kv_token,
        request_s=constants.request_s,
        token_budget=constants.token_budget,
        max_num_seqs=constants.max_num_seqs,
        kv_tokens=_ENOUGH + longest,
        max_model_len=max(_BASE.max_model_len, longest),
        prefix_caching=False,
    )


def replay(constants: Constants, calls: Sequence[Call]) -> list[Times]:
    """In the order of the calls, which is that of sending. Only what lies between two moments is like the log's."""
    engine = Engine(spec_of(constants, max(call.prompt + call.output for call in calls)), Reporting.MILESTONES)
    sent, first, done = ([0.0] * len(calls) for _ in range(3))
    due: list[tuple[float, int]] = []
    then: dict[tuple[int, str], list[tuple[int, float]]] = {}
    for index, upon in enumerate(_sent_upon(calls)):
        if upon.call < 0:
            heappush(due, (upon.gap_s + constants.request_s, index))
        else:
            then.setdefault((upon.call, upon.what), []).append((index, upon.gap_s))

    def note(emitted: Emitted) -> None:
        for what, times, came in (("first", first, not first[emitted.id]), ("done", done, emitted.finished)):
            if came:
                times[emitted.id] = emitted.at
                for index, gap_s in then.pop((emitted.id, what), ()):
                    heappush(due, (emitted.at + gap_s + constants.request_s, index))

    while True:
        step = engine.next_event_at()
        if due and (step is None or due[0][0] < step):
            at, index = heappop(due)
            call, sent[index] = calls[index], at - constants.request_s
            engine.submit(SimRequest(index, call.prompt, call.output, cached_tokens=call.cached), at)
        elif step is not None:
            for emitted in engine.advance(step):
                note(emitted)
        else:
            return [Times(*times) for times in zip(sent, first, done, strict=True)]


def _sent_upon(calls: Sequence[Call]) -> Iterator[_Upon]:
    """Of each. Whatever it is sent upon was sent before it, so that there is always a next one."""
    start = calls[0].sent
    moments = [(call.first, index, "first") for index, call in enumerate(calls) if call.is_judged]
    moments += [(call.done, index, "done") for index, call in enumerate(calls)]
    moments.sort()
    times = [moment[0] for moment in moments]
    for index, call in enumerate(calls):
        place = bisect_right(times, call.sent + _SAME_MOMENT_S) - 1
        while place >= 0 and moments[place][1] >= index:
            place -= 1
        if place < 0:
            yield _Upon(-1, "", call.sent - start)
        else:
            at, before, what = moments[place]
            yield _Upon(before, what, max(0.0, call.sent - at))
