"""What was learned comes back after a restart: with less trust, of the same engines only, and never from nonsense."""

import json
import math
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.plain import read
from proxy.core.learn.cost_model import decode_features, prefill_features
from proxy.core.memento import FORM, VERSION
from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.commands import Dispatch, Finished, FirstToken, Identified, Load, Probed
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.request import Job
from proxy.model.scheduling import SchedulingSettings

PREFILL = (0.02, 0.57, 0.44, 0.1)
DECODE = (0.0106, 0.00419, 0.0142, 0.8)


def spec(name: str, **more: Any) -> BackendSpec:
    return BackendSpec(name, models=frozenset({"m"}), **more)


def scheduler(*specs: BackendSpec) -> Scheduler:
    limits = {"retries": RetrySettings(), "hold": HoldSettings(), "health": HealthSettings()}
    made = Scheduler(specs or (spec("a"), spec("b")), rng=Random(1), **limits)  # type: ignore[arg-type]
    for backend in made._fleet.backends:
        made.observe(Probed(backend.name, True, backend.spec.models), 0.0)
    return made


def identify(made: Scheduler, engine: str = "vllm", *names: str) -> Scheduler:
    for name in names or tuple(made._fleet.by_name):
        made.observe(Identified(name, engine), 1.0)
    return made


def teach(made: Scheduler, name: str, slower: float = 1.0, count: int = 300) -> None:
    """An engine that takes `PREFILL` and `DECODE`, so many times longer."""
    model, rng = made._fleet.by_name[name].model, Random(1)
    for _ in range(count):
        fresh, decoding = rng.uniform(50, 20_000), rng.randrange(1, 40)
        x = prefill_features(fresh, fresh * fresh * rng.uniform(1, 1.5), decoding)
        model.learn_prefill(x, slower * sum(c * f for c, f in zip(PREFILL, x, strict=True)))
        model.learn_ttft(1.0, rng.uniform(0.8, 1.2))
        x = decode_features(decoding, decoding * rng.uniform(500, 5000), rng.uniform(0, 0.05))
        model.learn_decode(x, slower * sum(c * f for c, f in zip(DECODE, x, strict=True)))


def taught(*specs: BackendSpec) -> Scheduler:
    made = identify(scheduler(*specs))
    for slower, name in enumerate(made._fleet.by_name, 1):
        teach(made, name, slower)
    return made


def through_a_file(made: Scheduler) -> dict[str, Any]:
    """As it is written and read."""
    document = orjson.loads(orjson.dumps(made.memento.learned()))
    assert isinstance(document, dict)
    return document


def reborn(document: dict[str, Any], *specs: BackendSpec) -> Scheduler:
    made = scheduler(*specs)
    made.memento.recall(document)
    return made


def prefill_s(made: Scheduler, name: str, tokens: float = 8000.0) -> float:
    x = prefill_features(tokens, tokens * tokens, 3)
    return sum(c * f for c, f in zip(made._fleet.by_name[name].model.prefill, x, strict=True))


def step_s(made: Scheduler, name: str) -> float:
    return made._fleet.by_name[name].model.step_s(12, 30_000)


def serve(made: Scheduler, count: int, answer: int, prompt: int, tenant: str = "t") -> None:
    for job_id in range(count):
        now = 10.0 + job_id
        commands = made.submit(Job(job_id, "m", body_bytes=4000, tenant=tenant, stream=True), now)
        for attempt in [command.attempt for command in commands if isinstance(command, Dispatch)]:
            made.observe(FirstToken(attempt), now + 0.1)
            made.observe(Finished(attempt, prompt, 0, answer), now + 0.5)


# ---- what comes back


def test_costs_of_unlike_engines_come_back_as_they_were() -> None:
    before = taught()
    after = identify(reborn(through_a_file(before)))
    for name in ("a", "b"):
        assert prefill_s(after, name) == pytest.approx(prefill_s(before, name), rel=0.01)
        assert step_s(after, name) == pytest.approx(step_s(before, name), rel=0.01)
    assert prefill_s(after, "b") > 1.8 * prefill_s(after, "a")


def test_an_engine_that_nobody_knows_begins_with_what_its_pool_knew() -> None:
    after = identify(reborn(through_a_file(taught(spec("a"))), spec("a"), spec("new")))
    after._fleet.by_name["new"].model.refresh()
    assert prefill_s(after, "new") == pytest.approx(prefill_s(after, "a"), rel=0.2)


def test_it_is_believed_less_than_what_is_seen() -> None:
    """An engine that has become three times slower, which nobody could know."""
    before = taught(spec("a"))
    same = identify(reborn(through_a_file(before), spec("a")))
    truth = 3 * prefill_s(before, "a")
    for made in (before, same):
        teach(made, "a", slower=3.0, count=40)
    assert abs(prefill_s(same, "a") - truth) < 0.5 * abs(prefill_s(before, "a") - truth)


def test_the_gate_of_admission_needs_proofs_of_its_own() -> None:
    after = identify(reborn(through_a_file(taught())))
    pool = after._fleet.pools["default"]
    assert not pool.trusted
    for _ in range(30):
        pool.model.calibration.learn(1.0, 1.0)
        pool.review(100)
    assert pool.trusted, "100 checked in the earlier life, and 30 in this one"


def test_lengths_and_bytes_per_token_come_back() -> None:
    before = identify(scheduler())
    serve(before, 40, answer=700, prompt=500)
    after = reborn(through_a_file(before))
    job = Job(1, "m", body_bytes=4000, tenant="t", stream=True)
    assert after._learning.lengths.answer(job) == pytest.approx(before._learning.lengths.answer(job))
    assert after._learning.lengths.prompt(job) == pytest.approx(before._learning.lengths.prompt(job))
    for made in (before, after):
        for _ in range(8):
            made._learning.lengths.learn(job, 500, 70)
    assert after._learning.lengths.answer(job)[0] < before._learning.lengths.answer(job)[0], "it is left sooner"


def test_slots_budget_and_loads_come_back_where_nobody_tells() -> None:
    before = taught(spec("a"), spec("b"), spec("c", kv_tokens=5000, seats=3))
    for name in ("a", "c"):
        backend = before._fleet.by_name[name]
        backend.seats = backend.seat_watch.seats = 4.0
        backend.kv_tokens = 90_000.0
        backend.loads.learn("m", 12.5)
    after = identify(reborn(through_a_file(before), spec("a"), spec("b"), spec("c", kv_tokens=5000, seats=3)))
    a, b, c = after._fleet.backends
    assert (a.seats, a.kv_tokens) == (4.0, 90_000.0)
    a.loads.told(frozenset())
    assert a.loads.wait_s("m", 0.0) == 12.5
    assert (b.seats, b.kv_tokens) == (None, None)
    assert (c.seats, c.kv_tokens) == (3, 5000), "as configured"


def test_what_the_engine_tells_goes_before_what_is_remembered() -> None:
    before = taught(spec("a"))
    backend = before._fleet.by_name["a"]
    backend.seats = backend.seat_watch.seats = 4.0
    after = reborn(through_a_file(before), spec("a"))
    after.observe(Load("a", seats=16.0, kv_tokens=1000.0), 0.5)
    identify(after)
    assert after._fleet.by_name["a"].seats == 16.0


# ---- what does not


@pytest.mark.parametrize("engine", ["sglang", ""])
def test_of_another_engine_nothing_is_taken(engine: str) -> None:
    after = identify(reborn(through_a_file(taught())), engine)
    assert prefill_s(after, "a") == prefill_s(scheduler(), "a")
    assert after.memento.dropped == 2


def test_one_that_changed_does_not_take_the_others_with_it() -> None:
    before = taught()
    after = reborn(through_a_file(before))
    identify(after, "vllm", "b")
    identify(after, "other", "a")
    assert prefill_s(after, "b") == pytest.approx(prefill_s(before, "b"), rel=0.01)
    assert after._fleet.by_name["a"].model.numbers() == []


def test_a_backend_that_is_down_is_not_forgotten() -> None:
    first = through_a_file(taught())
    second = through_a_file(identify(reborn(first), "vllm", "a"))
    assert second["backends"]["b"] == first["backends"]["b"]
    third = identify(reborn(second))
    assert prefill_s(third, "b") > 1.8 * prefill_s(third, "a")


def test_backends_that_are_gone_are_not_kept() -> None:
    after = reborn(through_a_file(taught()), spec("a"))
    assert set(through_a_file(identify(after))["backends"]) == {"a"}


def test_what_was_seen_meanwhile_is_not_overwritten() -> None:
    after = reborn(through_a_file(taught()))
    teach(after, "a", slower=5.0, count=50)
    seen = prefill_s(after, "a")
    identify(after)
    assert prefill_s(after, "a") == seen


def test_nothing_of_texts_or_keys_is_in_it() -> None:
    made = identify(scheduler())
    chain = tuple(hash(("secret prompt", i)) for i in range(20))
    commands = made.submit(Job(1, "m", prefix=chain, body_bytes=9000, tenant="abcd1234", stream=True), 5.0)
    assert [command.attempt for command in commands if isinstance(command, Dispatch)] == [1]
    made.observe(FirstToken(1), 5.1)
    made.observe(Finished(1, 2000, 0, 50), 6.0)
    written = json.dumps(made.memento.learned())
    assert not any(str(block) in written for block in chain)
    assert set(made.memento.learned()) == {FORM, "backends", "pools", "answers", "scales"}


def with_budgets(document: dict[str, Any] | None = None, day: int = 20_000) -> Scheduler:
    tenants = [{"tenant": "t", "tokens_per_day": 100_000, "limits": [{"model": "m", "tokens_per_day": 50_000}]}]
    made = Scheduler(
        [spec("a")],
        retries=RetrySettings(),
        hold=HoldSettings(),
        health=HealthSettings(),
        rng=Random(1),
        scheduling=read(SchedulingSettings, {"tenants": tenants}),
    )
    made.tell_time(day * 86_400.0 + 100.0, 0.0)
    made.memento.recall(document or {})
    return made


@pytest.mark.parametrize(("day", "left"), [(20_000, 49_580), (20_001, 50_000), (19_999, 50_000)])
def test_what_was_used_of_a_day_comes_back_on_that_day(day: int, left: int) -> None:
    before = with_budgets()
    identify(before)
    serve(before, 2, answer=10, prompt=200)
    document = through_a_file(before)
    assert document["days"] == [["t", "", 20_000, 420.0], ["t", "model m", 20_000, 420.0]]
    view = with_budgets(document, day).quota_for(Job(1, "m", tenant="t"), 0.0)
    assert view is not None
    assert view.day_tokens is not None
    assert view.day_tokens.left == left


@pytest.mark.parametrize(
    "row",
    [[], ["t"], ["t", "", 1], ["t", "", -1, 5.0], ["t", "", 1, math.inf], ["t", 5, 1, 5.0], ["t", "", True, 5.0], 7],
)
def test_days_that_cannot_be_are_dropped(row: Any) -> None:
    made = with_budgets({"days": [row]})
    assert "days" not in made.memento.learned()


# ---- nonsense


NONSENSE = [None, True, -1, 0, 1e308, 10**30, "text", [], {}, [None], [1e308] * 18, [-1.0] * 18, {"": []}, [[["m"]]]]


@pytest.mark.parametrize("wrong", NONSENSE)
@pytest.mark.parametrize(
    "part", ["backends", "pools", "answers", "scales", "a", "costs", "seats", "loads", "residuals"]
)
def test_nonsense_reads_as_not_learned(part: str, wrong: Any) -> None:
    document = through_a_file(taught())
    holder = {
        "a": document["backends"],
        "residuals": document["pools"]["default"],
    }.get(part, document if part in document else document["backends"]["a"])
    holder[part] = wrong
    after = identify(reborn(document))
    serve(after, 20, answer=50, prompt=1000)
    assert all(math.isfinite(number) for number in after._fleet.by_name["a"].model.prefill)
    assert through_a_file(after)[FORM] == VERSION


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "backends",
                        "pools",
                        "answers",
                        "scales",
                        "a",
                        "b",
                        "default",
                        "engine",
                        "costs",
                        "residuals",
                        "seats",
                    ]
                ),
                inner,
                max_size=6,
            )
        ),
        max_leaves=40,
    )
)
def test_whatever_is_read_the_scheduler_serves(document: Any) -> None:
    made = scheduler()
    if isinstance(document, dict):
        made.memento.recall(document)
    identify(made, "text")
    serve(made, 3, answer=20, prompt=1000)
    assert made.counts(20.0).finished == 3
    orjson.dumps(made.memento.learned())


@pytest.mark.parametrize("numbers", [[0.0] * 4 + [1e300] * 4 + [5.0], [math.nan] * 9, [0.1] * 4 + [-1.0] * 4 + [9.0]])
def test_variances_that_cannot_be(numbers: list[float]) -> None:
    document = through_a_file(taught(spec("a")))
    document["backends"]["a"]["costs"] = numbers * 2
    after = identify(reborn(document, spec("a")))
    teach(after, "a", count=200)
    assert prefill_s(after, "a") == pytest.approx(prefill_s(taught(spec("a")), "a"), rel=0.1)


def test_a_document_of_any_size_is_bounded() -> None:
    document = through_a_file(taught())
    document["answers"] = [[f"t{i}", "c", "chat", "m", 10.0, 20.0, 9.0] for i in range(10_000)]
    after = reborn(document)
    assert len(through_a_file(after)["answers"]) <= 4096
    assert after._learning.lengths.answer(Job(1, "m", tenant="t9999", traffic_class="c"))[0] in (10.0, 128.0)
