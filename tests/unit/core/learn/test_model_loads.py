"""Models that have to be loaded: how long it takes, learned, and what follows from it."""

import pytest

from proxy.core.learn.model_loads import MAX_MODELS, UNSEEN_S, ModelLoads
from proxy.model.commands import Failed
from proxy.model.request import Job
from tests.support.attempts import attempt_of
from tests.unit.core.one_engine import OneEngine
from tests.unit.core.playing import fault

NONE: frozenset[str] = frozenset()


def test_an_engine_that_does_not_tell_has_everything() -> None:
    assert ModelLoads().wait_s("m", 0.0) == 0.0


def test_what_is_loaded_and_what_is_not() -> None:
    loads = ModelLoads()
    loads.told(frozenset({"m"}))
    assert loads.wait_s("m", 0.0) == 0.0
    assert loads.wait_s("n", 0.0) == UNSEEN_S
    loads.ready("n")
    assert loads.wait_s("n", 0.0) == 0.0, "it answered, whatever the last scrape said"
    loads.told(frozenset({"n"}))
    assert loads.wait_s("m", 0.0) == UNSEEN_S


def test_an_engine_that_answers_to_any_name_does_not_fill_the_memory() -> None:
    loads = ModelLoads()
    loads.told(NONE)
    for number in range(MAX_MODELS + 5):
        loads.ready(f"made-up-{number}")
    assert loads.loaded is not None
    assert len(loads.loaded) == MAX_MODELS
    assert loads.wait_s("made-up-0", 0.0) == 0.0
    loads.told(frozenset({"m"}))
    assert loads.loaded == {"m"}, "what the engine says replaces what was seen"


def test_each_model_has_its_own_time_and_an_unseen_one_their_mean() -> None:
    loads = ModelLoads()
    loads.told(NONE)
    loads.learn("small", 2.0)
    loads.learn("large", 30.0)
    assert loads.wait_s("small", 0.0) == 2.0
    assert loads.wait_s("other", 0.0) == 16.0
    loads.learn("small", 4.0)
    assert 2.0 < loads.wait_s("small", 0.0) < 4.0
    assert loads.seen == 3


def test_a_load_that_is_under_way_is_waited_for_as_long_as_is_left() -> None:
    loads = ModelLoads()
    loads.told(NONE)
    loads.learn("m", 20.0)
    assert loads.asked("m", 100.0)
    assert not loads.asked("m", 101.0), "the first request caused it"
    assert loads.wait_s("m", 105.0) == 15.0
    assert loads.wait_s("m", 300.0) == 2.0, "longer than expected: some rest is left"
    loads.gave_up("m")
    assert loads.wait_s("m", 300.0) == 20.0
    assert loads.asked("m", 300.0)
    loads.told(frozenset({"m"}))
    loads.told(NONE)
    assert loads.asked("m", 400.0), "that load ended when the engine said so"


@pytest.mark.parametrize(("late_s", "learned"), [(-3.0, 0.01), (0.0, 0.01), (1e9, 600.0)])
def test_what_is_learned_is_bounded(late_s: float, learned: float) -> None:
    loads = ModelLoads()
    loads.told(NONE)
    loads.learn("m", late_s)
    assert loads.wait_s("m", 0.0) == learned


def test_models_remembered_are_bounded() -> None:
    loads = ModelLoads()
    loads.told(NONE)
    for number in range(MAX_MODELS + 10):
        loads.learn(f"m{number}", 5.0 + number)
        loads.asked(f"m{number}", 0.0)
    assert len(loads._took_s) == len(loads._began) == MAX_MODELS
    assert f"m{MAX_MODELS + 9}" in loads._took_s
    assert "m0" not in loads._took_s


def loading_s(engine: OneEngine, model: str = "m") -> float:
    told = engine.scheduler.explain(Job(999, model, stream=True, prompt_tokens=1000), engine.now)
    return told.candidates[0].loading_s


def swapping() -> OneEngine:
    engine = OneEngine(models=frozenset({"m", "n"}), aliases={"public": "m"})
    engine.scrape(loaded=NONE)
    return engine


def test_the_time_is_learned_from_the_first_token_and_is_no_prefill() -> None:
    engine = swapping()
    assert loading_s(engine) == UNSEEN_S
    engine.submit(1)
    engine.now = 1.0
    assert loading_s(engine) == UNSEEN_S - 1.0
    engine.first_token(1, 5.2)
    engine.finish(1, 6.0)
    assert loading_s(engine) == 0.0, "it is there now"
    view = engine.view()
    assert view.model_load_s == pytest.approx(5.0, abs=0.3)
    assert (view.model_loads, view.samples, view.slow) == (1, 0, 1.0)
    engine.scrape(loaded=frozenset({"n"}))
    assert loading_s(engine) == view.model_load_s
    assert loading_s(engine, "public") == view.model_load_s, "an alias is the same model"


def test_those_behind_it_do_not_teach_the_time_again() -> None:
    engine = swapping()
    engine.submit(1)
    engine.now = 3.0
    engine.submit(2)
    engine.first_token(1, 5.0)
    engine.first_token(2, 5.1)
    assert engine.view().model_loads == 1
    assert engine.view().model_load_s == pytest.approx(5.0, abs=0.3)


def test_an_answer_without_a_first_token_shows_that_it_is_there() -> None:
    engine = swapping()
    engine.submit(1)
    engine.finish(1, 5.0)
    assert loading_s(engine) == 0.0
    assert engine.view().model_loads == 0


@pytest.mark.parametrize("how", ["left", "failed"])
def test_a_load_that_nobody_saw_the_end_of_teaches_nothing(how: str) -> None:
    engine = swapping()
    engine.submit(1)
    engine.now = 4.0
    if how == "left":
        engine.scheduler.cancel(1, 4.0)
    else:
        engine.scheduler.observe(Failed(attempt_of(engine.scheduler, 1), fault(), repeatable=False), 4.0)
    assert loading_s(engine) == UNSEEN_S
    assert (engine.view().model_loads, engine.view().slow) == (0, 1.0)
