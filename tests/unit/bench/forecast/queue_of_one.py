"""An engine so simple that its times can be told by hand: prompts one after another, then a fixed pace."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from proxy.bench.forecast.calls import Call
from proxy.bench.forecast.fitting import Constants, Times

TRUE = Constants(2e-5, 0.0, 0.01, 0.0, 0.0)


def served(constants: Constants, calls: Sequence[Call]) -> list[Times]:
    """Prefills in order; decoding takes `step_s` a token, whoever is beside."""
    free, found = 0.0, []
    for call in calls:
        work = constants.prefill_s_per_token * call.computed + constants.prefill_s_per_token2 * call.computed**2
        free = max(free, call.sent + constants.request_s) + work
        found.append(Times(call.sent, free, free + constants.step_s * (call.output - 1)))
    return found


def recorded(constants: Constants = TRUE, n: int = 120, seed: int = 1, every_s: float = 2.0) -> list[Call]:
    """Calls whose recorded times are those of that engine."""
    rng, at, calls = Random(seed), 0.0, []
    for _ in range(n):
        at += rng.expovariate(1 / every_s)
        calls.append(Call("a", at, at, at, rng.randint(500, 9000), 0, rng.randint(2, 60)))
    times = served(constants, calls)
    return [replace(call, first=one.first, done=one.done) for call, one in zip(calls, times, strict=True)]
