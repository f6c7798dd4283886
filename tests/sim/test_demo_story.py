"""What the demo's scenes claim, on virtual time: its engines, its promises and traffic like its own, whatever machine.

`test_demo.py` plays the demo itself, in time that passes.
"""

from dataclasses import replace

import pytest

from proxy.app.demo.engines import BULK, CHATS, VICTIM, engine_specs
from proxy.app.demo.results import SETTLED_S, TPOT_S, TTFT_S
from proxy.app.demo.scenes import SLOWER
from proxy.config.plain import read
from proxy.core.tenancy.classify import Classifier
from proxy.model.backend import BackendSpec
from proxy.model.classes import ClassSettings, with_built_in
from proxy.model.outcome import Verdict
from proxy.report.report import group_of
from proxy.report.run import Result
from proxy.sim.engine.course import read_course
from proxy.sim.http.traffic import CHAT_TURNS, CHATS_PER_S
from proxy.sim.world.cluster import SimBackend, hashed_by
from proxy.sim.world.jobs import SeenByProxy
from proxy.sim.world.slo import parse_slo, promised
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.generator import BLOCK_TOKENS, ConversationSettings, JobSettings, LengthMix, Workload, generate

SEEDS = (1, 2, 3)
WARM_S = 60.0
"""Of normal engines, before something happens to one of them."""
END_S = 120.0
BULK_PER_S = 0.7
"""Six jobs at any time, of which each takes eight or nine seconds."""
PROMISED = {"ttft": f"{TTFT_S:g}s", "tpot": f"{TPOT_S:g}s"}
SLOW = f"slow x{SLOWER:g} from {WARM_S:g}s to {END_S:g}s"
KILLED = f"outage at {WARM_S:g}s for {END_S - WARM_S:g}s"


def traffic(load: float) -> Workload:
    """As `proxy.sim.http.traffic` asks, but for jobs that come by themselves, not when one ends."""
    total = CHATS_PER_S + BULK_PER_S
    chats = ConversationSettings(
        system_prompts=1000,
        system=LengthMix(median=60, spread=0.0),
        turns=CHAT_TURNS,
        user=LengthMix(median=30, spread=0.4),
        answer=LengthMix(median=45, spread=0.35),
        pause="900ms",
    )
    jobs = JobSettings(prompt=LengthMix(median=1900, spread=0.3), answer=LengthMix(median=150, spread=0.4, max=250))
    share = BULK_PER_S / total
    return Workload(rate=load * total, duration=f"{END_S:g}s", bulk_share=share, conversations=chats, jobs=jobs)


def play(seed: int, *happens: str, load: float = 1.0, policy: str = "goodput") -> list[Result]:
    backends = [
        SimBackend(BackendSpec(name, pool=pool, models=frozenset({"sim"})), spec) for name, pool, spec in engine_specs()
    ]
    backends = [replace(one, course=read_course(happens)) if one.spec.name == VICTIM else one for one in backends]
    backends = hashed_by(backends, BLOCK_TOKENS)
    classes = with_built_in((read(ClassSettings, {"name": "interactive", "slo": PROMISED}),))
    scheduler = build_scheduler(backends, policy, seed)
    world = World(backends, scheduler, jobs=SeenByProxy(seed, BLOCK_TOKENS, Classifier(classes, (), None)))
    rules = parse_slo(f"interactive:ttft={PROMISED['ttft']},tpot={PROMISED['tpot']};bulk:none")
    return list(world.play(promised(generate(traffic(load), seed), rules)).results)


def of_class(results: list[Result], name: str, since: float = 0.0) -> list[Result]:
    return [one for one in results if one.arrival.traffic_class == name and one.arrival.at >= since]


def share_on(results: list[Result], *backends: str) -> float:
    served = [one for one in results if one.first_token_at is not None]
    return sum(one.backend in backends for one in served) / len(served)


def pool(name: str) -> list[str]:
    return [backend for backend, of, _ in engine_specs() if of == name]


@pytest.mark.parametrize("seed", SEEDS)
def test_normal_chats_keep_their_promise_and_bulk_is_on_its_engines(seed: int) -> None:
    results = play(seed)
    assert group_of(of_class(results, "interactive")).goodput >= 0.95
    assert share_on(of_class(results, "bulk", SETTLED_S), *pool(BULK)) >= 0.9
    assert share_on(of_class(results, "interactive", SETTLED_S), *pool(CHATS)) >= 0.5
    assert all(one.outcome is not None and one.outcome.verdict is Verdict.SERVED for one in of_class(results, "bulk"))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_slow_engine_has_next_to_nothing_left_after_ten_seconds(seed: int) -> None:
    results = of_class(play(seed, SLOW), "interactive")
    before = [one for one in results if SETTLED_S <= one.arrival.at < WARM_S]
    assert share_on(before, VICTIM) > 0.2
    assert share_on(of_class(results, "interactive", WARM_S + SETTLED_S), VICTIM) < 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_the_kill_loses_nobody_who_had_no_token_yet(seed: int) -> None:
    results = play(seed, KILLED)
    ends = [one for one in results if one.arrival.at < END_S - SETTLED_S and one.first_token_at is None]
    assert [one for one in ends if one.outcome is None or one.outcome.verdict is Verdict.FAILED] == []
    assert share_on(of_class(results, "interactive", WARM_S + 1.0), VICTIM) == 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_taking_turns_is_visibly_worse(seed: int) -> None:
    good = {
        policy: group_of(of_class(play(seed, SLOW, load=2.0, policy=policy), "interactive", WARM_S)).goodput
        for policy in ("goodput", "round_robin")
    }
    assert good["goodput"] >= good["round_robin"] + 0.2
