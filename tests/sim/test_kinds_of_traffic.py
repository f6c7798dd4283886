"""Traffic unlike that which the scheduler grew up with: nobody may notice an admission control below saturation, and
above it nobody may do better than the one who admits."""

from collections.abc import Callable
from math import exp
from random import Random

import pytest

from proxy.core.tenancy.classify import Classifier
from proxy.model.classes import with_built_in
from proxy.report.report import Report, report_of
from proxy.sim.world.cluster import build_cluster, read_engines
from proxy.sim.world.jobs import SeenByProxy
from proxy.sim.world.slo import parse_slo, promised
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival

Sizes = Callable[[Random], tuple[int, int, str]]
"""Tokens of a prompt and of its answer, and the tenant."""


def lognormal(rng: Random, median: float, sigma: float, most: float) -> int:
    return round(max(1.0, min(most, median * exp(rng.gauss(0.0, sigma)))))


def arrivals(count: int, rate: Callable[[float], float], sizes: Sizes, seed: int = 1) -> list[Arrival]:
    """Poisson arrivals with a promise each: TTFT 2 s (or three prefills), TPOT 100 ms."""
    rng, at, made = Random(seed), 0.0, []
    for _ in range(count):
        at += rng.expovariate(rate(at))
        prompt, answer, tenant = sizes(rng)
        made.append(Arrival(at, prompt, answer, tenant=tenant))
    return promised(made, parse_slo("mooncake"))


def played(policy: str, traffic: list[Arrival], engines: str, bulk_tokens: int | None = 2048) -> Report:
    backends = build_cluster(read_engines(engines), ())
    jobs = SeenByProxy(1, 512, Classifier(with_built_in(()), (), bulk_tokens))
    return report_of(World(backends, build_scheduler(backends, policy, 1), jobs=jobs).play(traffic))


def unequal(rng: Random) -> tuple[int, int, str]:
    """A third of the traffic is one tenant's, the rest is that of a hundred."""
    tenant = "big" if rng.random() < 0.33 else f"t{int(100 * rng.random() ** 2)}"
    return lognormal(rng, 500, 1.0, 16_000), lognormal(rng, 200, 0.8, 2000), tenant


def plain(prompt: float, answer: float, sigma: float, most: float = 8000) -> Sizes:
    return lambda rng: (lognormal(rng, prompt, 1.0, 16_000), lognormal(rng, answer, sigma, most), "one")


@pytest.mark.parametrize(
    ("engines", "rate", "sizes"),
    [
        pytest.param("4xmooncake16", 8.0, unequal, id="many tenants of unequal size"),
        pytest.param("4xmooncake16", 0.5, plain(300, 5000, 0.7, 20_000), id="answers of a reasoning model"),
        pytest.param("4xmooncake16", 6.0, plain(70, 1200, 0.2), id="nothing but decoding"),
    ],
)
def test_below_saturation_nobody_is_refused(engines: str, rate: float, sizes: Sizes) -> None:
    traffic = arrivals(1200, lambda _: rate, sizes)
    assert played("least_outstanding", traffic, engines).total.goodput > 0.99, "this is not below saturation"
    ours = played("goodput", traffic, engines)
    assert ours.refusals == {}
    assert ours.total.goodput >= 0.995


@pytest.mark.parametrize(
    ("engines", "rate", "sizes"),
    [
        pytest.param("4xmooncake16", 0.65, plain(300, 5000, 0.7, 20_000), id="answers of a reasoning model"),
        pytest.param("4xmooncake16", 110.0, plain(180, 40, 1.2), id="an onset of short chats"),
        pytest.param("4xmooncake16", 9.0, plain(70, 1200, 0.2), id="nothing but decoding"),
    ],
)
def test_above_saturation_nobody_does_better(engines: str, rate: float, sizes: Sizes) -> None:
    traffic = arrivals(1200, lambda _: rate, sizes)
    best = max(played(policy, traffic, engines).total.goodput for policy in ("least_outstanding", "round_robin"))
    assert best < 0.99, "this is not above saturation"
    assert played("goodput", traffic, engines).total.goodput > best


@pytest.mark.parametrize("seed", [1, 2])
def test_an_onset_from_idle_does_not_fill_engines_beyond_the_promised_pace(seed: int) -> None:
    """Prompts come without a gap, so that one is always there: what slows down answers is how many decode."""
    traffic = arrivals(1200, lambda _: 130.0, plain(180, 40, 1.2), seed)
    ours = played("goodput", traffic, "4xmooncake16").total
    assert ours.late_tpot <= 0.05 * ours.requests
    assert ours.goodput > 0.85


@pytest.mark.parametrize("seed", [1, 2])
def test_long_answers_from_cold_do_not_fill_engines_beyond_the_pace_before_the_first_has_ended(seed: int) -> None:
    """Two minutes of an overload in which hardly any answer ends: what flows is all that can tell."""
    ours = played("goodput", arrivals(1400, lambda _: 14.0, plain(70, 1200, 0.2), seed), "4xmooncake16").total
    assert ours.late_tpot <= 0.02 * ours.requests
    assert ours.late_ttft <= 0.02 * ours.requests, "held ones go at the last moment, and then a step is under way"
    assert ours.goodput > 0.5


@pytest.mark.parametrize("seed", [1, 2])
def test_overload_that_goes_on_does_not_fill_engines_beyond_the_pace_with_answers_of_unknown_length(seed: int) -> None:
    """The first that end are the short ones, and what goes on takes more memory, and time, than they told."""
    ours = played("goodput", arrivals(1000, lambda _: 6.0, plain(70, 1200, 1.0), seed), "2xmooncake16").total
    assert ours.goodput < 0.7, "this is not deep in overload"
    assert ours.late_tpot <= 0.03 * ours.requests


def mostly_one(rng: Random) -> tuple[int, int, str]:
    tenant = "big" if rng.random() < 0.66 else f"t{rng.randrange(20)}"
    return lognormal(rng, 180, 1.0, 8000), lognormal(rng, 40, 1.0, 8000), tenant


def test_a_large_tenant_gets_what_the_small_ones_leave() -> None:
    """Two thirds of an overload are one tenant's: it is refused first, not kept from engines that have room."""
    traffic = arrivals(1500, lambda _: 120.0, mostly_one)
    ours = played("goodput", traffic, "4xmooncake16")
    best = max(played(policy, traffic, "4xmooncake16").total.goodput for policy in ("least_outstanding", "round_robin"))
    assert ours.total.goodput > best + 0.2
    assert ours.total.goodput > 0.8


def test_deep_in_overload_who_could_be_served_is_not_refused_because_many_wait() -> None:
    """Short answers to long prompts: few are in flight at once, far more wait and may still be in time. One seed more
    or less is chance: 15 to 26 of 700."""
    runs = [
        played("goodput", arrivals(700, lambda _: 16.0, plain(2000, 13, 1.0), seed), "2xmooncake16").total
        for seed in (1, 2, 3)
    ]
    assert all(ours.goodput < 0.7 for ours in runs), "this is not deep in overload"
    assert sum(ours.falsely_refused for ours in runs) <= 0.035 * sum(ours.requests for ours in runs)


def with_giants(rng: Random) -> tuple[int, int, str]:
    """Chats, and one prompt in fifty that keeps an engine busy for six seconds, and may wait for twice as long."""
    return 30_000 if rng.random() < 0.02 else lognormal(rng, 180, 1.0, 4000), lognormal(rng, 40, 1.0, 2000), "one"


@pytest.mark.parametrize("seed", [1, 3])
def test_from_cold_large_prompts_that_have_time_do_not_keep_engines_from_their_pace(seed: int) -> None:
    """Nobody knows yet what a prompt takes: sent at once, each of them made all who were beside it late."""
    ours = played("goodput", arrivals(500, lambda _: 60.0, with_giants, seed), "4xmooncake16").total
    assert ours.goodput > 0.96
    assert ours.late_tpot <= 0.02 * ours.requests
