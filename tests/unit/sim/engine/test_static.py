"""Engines that do not batch continuously."""

from dataclasses import replace
from itertools import pairwise

from proxy.sim.engine.sequence import Reporting, SimRequest
from proxy.sim.engine.spec import EngineKind, EngineSpec
from proxy.sim.engine.static import StaticEngine, build_engine
from tests.unit.sim.engine.test_engine import SPEC, drain


def test_a_static_batch_is_not_joined_and_ends_with_its_longest_member() -> None:
    engine = build_engine(SPEC.as_kind(EngineKind.STATIC), Reporting.MILESTONES)
    assert isinstance(engine, StaticEngine)
    engine.submit(SimRequest(0, 10, 1), 0.0)
    for number, tokens in ((1, 5), (2, 50), (3, 5)):
        engine.submit(SimRequest(number, 10, tokens), 0.001)
    engine.advance(0.05)
    assert (engine.running, engine.waiting) == (3, 0)
    engine.submit(SimRequest(4, 10, 1), 0.05)
    assert engine.waiting == 1
    events = drain(engine)
    ended = {event.id: event.at for event in events if event.finished}
    started = {event.id: event.scheduled_at for event in events}
    assert ended[1] == ended[3] < ended[2]
    assert started[4] == ended[2]


def test_a_place_is_paid_for_until_the_batch_ends() -> None:
    spec = replace(SPEC, step_s_per_kv_token=0.0, step_s_per_sequence=1.0, step_s=0.0).as_kind(EngineKind.STATIC)
    engine = build_engine(spec, Reporting.EVERY_STEP)
    engine.submit(SimRequest(0, 1, 1), 0.0)
    engine.submit(SimRequest(1, 1, 2), 1e-9)
    engine.submit(SimRequest(2, 1, 6), 1e-9)
    times = [event.at for event in drain(engine) if event.id == 2]
    steps = [round(after - before, 6) for before, after in pairwise(times)]
    assert steps == [2.0] * 5, "two places, although one answer ended after the first step"


def test_what_comes_in_one_instant_is_one_batch() -> None:
    engine = build_engine(replace(SPEC.as_kind(EngineKind.STATIC), max_num_seqs=3), Reporting.MILESTONES)
    for number in range(5):
        engine.submit(SimRequest(number, 10, 20), 0.0)
    assert (engine.running, engine.waiting) == (3, 2)
    events = drain(engine)
    began = {event.id: event.scheduled_at for event in events}
    ended = {event.id: event.at for event in events if event.finished}
    assert [began[number] for number in range(5)] == [0.0, 0.0, 0.0, ended[2], ended[2]]
    assert ended[0] == ended[1] == ended[2]


def test_padding_costs_what_the_longest_prompt_costs() -> None:
    def first_token(prompts: list[int]) -> float:
        engine = build_engine(SPEC.as_kind(EngineKind.STATIC))
        engine.submit(SimRequest(99, 1, 1), 0.0)
        for number, prompt in enumerate(prompts):
            engine.submit(SimRequest(number, prompt, 1), 0.0)
        return max(event.at for event in drain(engine))

    assert first_token([100, 1, 1]) == first_token([100, 100, 100])


def test_serial_runs_one_at_a_time() -> None:
    engine = build_engine(SPEC.as_kind(EngineKind.SERIAL), Reporting.MILESTONES)
    for number in range(3):
        engine.submit(SimRequest(number, 10, 10), 0.0)
    events = drain(engine)
    ended = {event.id: event.at for event in events if event.finished}
    started = {event.id: event.scheduled_at for event in events}
    assert [started[1], started[2]] == [ended[0], ended[1]]


def test_kinds_of_every_spec_are_valid() -> None:
    assert [EngineSpec().as_kind(kind).kind for kind in EngineKind] == list(EngineKind)
