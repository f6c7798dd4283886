"""The first minute after a start: what was learned before is worth most where engines are unlike."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from proxy.model.scheduling import AdmissionSettings, SchedulingSettings
from proxy.report.report import is_good
from proxy.sim.world.cluster import build_cluster, read_engines
from proxy.sim.world.jobs import SeenByProxy
from proxy.sim.world.slo import parse_slo, promised
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival
from proxy.workload.generator import BLOCK_TOKENS, WORKLOADS, generate

UNLIKE = """engines:
- count: 2
- count: 2
  constants: {prefill_s_per_token: 0.000114, prefill_s_per_token2: 8.8e-9, step_s: 0.0212}
- count: 1
  constants: {prefill_s_per_token: 0.000228, prefill_s_per_token2: 1.76e-8, step_s: 0.0424}
"""


def traffic(seed: int, rate: float, lasts_s: float) -> list[Arrival]:
    chats = WORKLOADS["chat"].conversations
    long = chats.model_copy(
        update={"user": chats.user.model_copy(update={"median": 2500}), "system_prompts": 400, "turns": 2.0}
    )
    workload = WORKLOADS["chat"].model_copy(update={"rate": rate, "duration": lasts_s, "conversations": long})
    return promised(generate(workload, seed), parse_slo("mooncake"))


def played(
    arrivals: list[Arrival], engines: str, learned: dict[str, Any] | None = None, early_error: float = 0.5
) -> tuple[float, dict[str, Any]]:
    """Share in time of those that come in the first minute, and what was learned."""
    backends = [
        replace(b, engine=replace(b.engine, prefix_tokens=BLOCK_TOKENS))
        for b in build_cluster(read_engines(engines), ())
    ]
    settings = SchedulingSettings(admission=AdmissionSettings(early_error=early_error))
    scheduler = build_scheduler(backends, "goodput", 1, scheduling=settings)
    if learned is not None:
        assert scheduler.memento.recall(json.loads(json.dumps(learned))) == len(backends)
    results = World(backends, scheduler, jobs=SeenByProxy(1, BLOCK_TOKENS)).play(arrivals).results
    first = [result for result in results if result.arrival.at < 60.0]
    return sum(map(is_good, first)) / len(first), scheduler.memento.learned()


def test_unlike_engines_are_known_from_the_first_request_on(tmp_path: Path) -> None:
    engines = tmp_path / "engines.yaml"
    engines.write_text(UNLIKE)
    _, learned = played(traffic(9, 4.0, 100.0), str(engines))
    cold = warm = 0.0
    for seed in (1, 2):
        arrivals = traffic(seed, 4.0, 62.0)
        cold += played(arrivals, str(engines))[0] / 2
        warm += played(arrivals, str(engines), learned)[0] / 2
    assert warm >= cold + 0.01  # from nothing little is lost since what flows teaches the pace (decision 44)


def test_from_nothing_good_predictions_refuse_before_the_first_minute_is_lost(tmp_path: Path) -> None:
    engines = tmp_path / "engines.yaml"
    engines.write_text(UNLIKE)
    early = late = 0.0
    for seed in (1, 2, 3, 4):
        arrivals = traffic(seed, 4.0, 62.0)
        early += played(arrivals, str(engines))[0] / 4
        late += played(arrivals, str(engines), early_error=0.0)[0] / 4
    assert early >= late + 0.15


def test_below_saturation_it_refuses_nobody() -> None:
    rate = 1.0
    _, learned = played(traffic(9, rate, 60.0), "4xmooncake16")
    assert played(traffic(1, rate, 62.0), "4xmooncake16", learned)[0] >= 0.995
