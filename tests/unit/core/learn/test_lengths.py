"""What is expected of answers and of prompts, by what was seen."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.learn.lengths import MAX_KEYS, Lengths, estimated
from proxy.model.request import Job


def job(**fields: object) -> Job:
    return Job(1, "m", **fields)  # type: ignore[arg-type]


def seen(lengths: Lengths, count: int, tokens: int = 200, **fields: object) -> None:
    for _ in range(count):
        lengths.learn(job(**fields), None, tokens)


def test_before_anything_was_seen_a_guess_is_made() -> None:
    assert Lengths().answer(job()) == (128.0, 512.0)
    assert Lengths().prompt(job(prompt_tokens=700)) == (700.0, 1.0)
    assert Lengths().prompt(job(body_bytes=4000)) == (1000.0, 1.0)


def test_eight_answers_are_enough_and_seven_are_not() -> None:
    lengths = Lengths()
    seen(lengths, 7, 30, tenant="t")
    assert lengths.answer(job(tenant="t")) == (128.0, 512.0)
    seen(lengths, 1, 30, tenant="t")
    assert lengths.answer(job(tenant="t"))[0] == pytest.approx(30.0, rel=0.2)


def test_a_tenant_of_its_own_comes_before_its_class() -> None:
    lengths = Lengths()
    seen(lengths, 50, 1000, tenant="long")
    seen(lengths, 50, 10, tenant="short")
    assert lengths.answer(job(tenant="long"))[0] > 500
    assert lengths.answer(job(tenant="short"))[0] < 20
    assert 5 < lengths.answer(job(tenant="new"))[0] < 1500, "of its class, since its own are not known"


def test_another_class_says_nothing_of_this_one() -> None:
    lengths = Lengths()
    seen(lengths, 50, 3000, traffic_class="bulk")
    assert lengths.answer(job(traffic_class="interactive")) == (128.0, 512.0)


def test_no_answer_gets_longer_than_was_asked_for() -> None:
    lengths = Lengths()
    seen(lengths, 50, 1000)
    assert lengths.answer(job(max_tokens=16)) == (16, 16)
    assert lengths.answer(job(max_tokens=10**6))[0] == pytest.approx(1000, rel=0.2)


def test_quantiles_are_those_of_what_was_seen() -> None:
    lengths, rng = Lengths(), random.Random(1)
    drawn = [round(rng.lognormvariate(5.0, 0.7)) for _ in range(5000)]
    for tokens in drawn:
        lengths.learn(job(), None, tokens)
    median, high = lengths.answer(job())
    drawn.sort()
    assert drawn[int(0.4 * 5000)] < median < drawn[int(0.6 * 5000)]
    assert drawn[int(0.8 * 5000)] < high < drawn[int(0.97 * 5000)]


def test_they_follow_what_changes() -> None:
    lengths = Lengths()
    seen(lengths, 200, 1000)
    seen(lengths, 200, 50)
    assert lengths.answer(job())[0] < 80


@given(tokens=st.lists(st.integers(0, 10**6), max_size=60), most=st.one_of(st.none(), st.integers(1, 10**6)))
def test_the_high_quantile_is_never_below_the_median(tokens: list[int], most: int | None) -> None:
    lengths = Lengths()
    for count in tokens:
        lengths.learn(job(), None, count)
    median, high = lengths.answer(job(max_tokens=most))
    assert 0 < median <= high
    assert most is None or high <= most


def test_usage_corrects_what_bytes_say_of_tokens() -> None:
    lengths = Lengths()
    for _ in range(300):
        lengths.learn(job(body_bytes=8000), 4000, None)
    tokens, factor = lengths.prompt(job(body_bytes=8000))
    assert factor == pytest.approx(2.0, rel=0.1)
    assert tokens == pytest.approx(4000, rel=0.1)
    assert lengths.prompt(Job(1, "other", body_bytes=8000))[1] == 1.0


@pytest.mark.parametrize(("usage", "factor"), [(1, 1 / 20), (10**9, 20.0)])
def test_nonsense_in_usage_moves_it_within_bounds(usage: int, factor: float) -> None:
    lengths = Lengths()
    for _ in range(2000):
        lengths.learn(job(body_bytes=400_000), usage, None)
    assert lengths.prompt(job(body_bytes=400_000))[1] == pytest.approx(factor, rel=0.01)


def test_usage_that_tells_nothing_teaches_nothing() -> None:
    lengths = Lengths()
    for _ in range(20):
        lengths.learn(job(body_bytes=400), None, None)
        lengths.learn(job(body_bytes=400), 0, -1)
    assert lengths.prompt(job(body_bytes=400)) == (100.0, 1.0)
    assert lengths.answer(job()) == (128.0, 512.0)


def test_only_so_many_tenants_are_remembered() -> None:
    lengths = Lengths()
    for number in range(MAX_KEYS + 50):
        seen(lengths, 1, 10, tenant=f"t{number}")
    assert len(lengths._answers) <= MAX_KEYS
    assert lengths.answer(job(tenant="t0"))[0] == pytest.approx(10, rel=0.2), "still known of its class"


def test_an_estimate_goes_before_bytes() -> None:
    assert estimated(job(prompt_tokens=5, body_bytes=4000)) == 5.0


def test_what_begins_alike_is_answered_alike() -> None:
    """One tenant, two applications: the system prompt tells them apart."""
    lengths = Lengths()
    for number in range(100):
        seen(lengths, 1, 2000, tenant="t", prefix=(7, number))
        seen(lengths, 1, 5, tenant="t", prefix=(8, number))
    assert lengths.answer(job(tenant="t", prefix=(7, 999)))[0] > 1500
    assert lengths.answer(job(tenant="t", prefix=(8, 999)))[1] < 10
    assert 5 < lengths.answer(job(tenant="t", prefix=(9, 999)))[0] < 2500, "of the tenant, since its own are not known"
    assert 5 < lengths.answer(job(tenant="t"))[0] < 2500


def test_prompts_that_are_all_different_push_nobody_out() -> None:
    lengths = Lengths()
    seen(lengths, 8, 30, tenant="first", prefix=(1,))
    for number in range(MAX_KEYS + 50):
        seen(lengths, 1, 1000, tenant="other", prefix=(number,))
    assert len(lengths._prompts) <= MAX_KEYS
    assert lengths.answer(job(tenant="first"))[0] == pytest.approx(30, rel=0.2)
