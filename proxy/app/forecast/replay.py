"""Recorded calls on the modelled engine, each sent when it was sent: what `calibrate` fits and judges by.

What an engine had of a prompt in its cache is taken from the log. How much memory it has for KV does not show there,
and is taken for enough.
"""

from collections.abc import Sequence
from dataclasses import replace

from proxy.bench.forecast.calls import Call
from proxy.bench.forecast.fitting import Constants, Times
from proxy.sim.engine.engine import Engine
from proxy.sim.engine.sequence import Emitted, Reporting, SimRequest
from proxy.sim.engine.spec import EngineSpec

_BASE = EngineSpec()
_ENOUGH = 1 << 30
"""Tokens of KV."""


def spec_of(constants: Constants, longest: int) -> EngineSpec:
    """An engine of these constants that takes calls of so many tokens."""
    return replace(
        _BASE,
        prefill_s_per_token=constants.prefill_s_per_token,
        prefill_s_per_token2=constants.prefill_s_per_token2,
        step_s=constants.step_s,
        step_s_per_sequence=constants.step_s_per_sequence,
        step_s_per_kv_token=constants.step_s_per_kv_token,
        token_budget=constants.token_budget,
        max_num_seqs=constants.max_num_seqs,
        kv_tokens=_ENOUGH + longest,
        max_model_len=max(_BASE.max_model_len, longest),
        prefix_caching=False,
    )


def replay(constants: Constants, calls: Sequence[Call]) -> list[Times]:
    """Times on the log's clock, in the order of the calls, which is that of sending."""
    engine = Engine(spec_of(constants, max(call.prompt + call.output for call in calls)), Reporting.MILESTONES)
    first: dict[int, float] = {}
    done: dict[int, float] = {}

    def note(emitted: Sequence[Emitted]) -> None:
        for one in emitted:
            first.setdefault(one.id, one.at)
            if one.finished:
                done[one.id] = one.at

    for index, call in enumerate(calls):
        while (due := engine.next_event_at()) is not None and due <= call.sent:
            note(engine.advance(due))
        engine.submit(SimRequest(index, call.prompt, call.output, cached_tokens=call.cached), call.sent)
    while (due := engine.next_event_at()) is not None:
        note(engine.advance(due))
    return [Times(first[index], done[index]) for index in range(len(calls))]
