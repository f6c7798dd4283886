"""One backend: names, permits, and what it takes."""

import pytest

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.pool import Pool
from proxy.model.abilities import Traits
from proxy.model.backend import BackendSpec
from proxy.model.endpoint import ROUTE_LABELS
from proxy.model.engine_facts import EngineFacts
from proxy.model.limits import HealthSettings
from proxy.model.request import Job

HEALTH = HealthSettings()
LOOSE = Traits(loose_names=True)


def backend(**spec: object) -> Backend:
    return Backend(BackendSpec("a", **spec), 0, HEALTH)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "listed", "serves", "not_served"),
    [
        ({"models": frozenset({"m"})}, None, ["m"], ["n"]),
        ({"models": frozenset({"m"})}, frozenset({"n"}), ["m"], ["n"]),
        ({}, None, ["m", "whatever"], []),
        ({}, frozenset({"m"}), ["m"], ["n"]),
        ({"any_model": True}, frozenset({"m"}), ["m", "n"], []),
        ({"aliases": {"x": "m"}}, frozenset({"m"}), ["m", "x"], ["n"]),
    ],
)
def test_what_it_serves(
    spec: dict[str, object], listed: frozenset[str] | None, serves: list[str], not_served: list[str]
) -> None:
    one = backend(**spec)
    one.learn(listed)
    assert all(one.serves(model) for model in serves)
    assert not any(one.serves(model) for model in not_served)


def test_before_it_listed_anything_it_serves_what_is_configured() -> None:
    assert not backend().serves("m")
    assert not backend().known
    assert backend(any_model=True).serves("m")
    assert backend(models=frozenset({"m"})).serves("m")


def test_a_list_that_it_told_before_is_no_news() -> None:
    one = backend()
    assert one.learn(frozenset({"m"}))
    assert not one.learn(frozenset({"m"}))
    assert one.learn(frozenset({"m"}), LOOSE)
    assert one.learn(None)


def test_names_that_mean_the_same_where_the_engine_takes_them_so() -> None:
    one = backend(aliases={"small": "llama3.2:latest"})
    one.learn(frozenset({"llama3.2:latest"}), LOOSE)
    assert one.serves("llama3.2")
    assert one.means("llama3.2:latest")
    assert one.listed_name("llama3.2") == "llama3.2:latest"
    assert (one.own_name("small"), one.own_name("llama3.2")) == ("llama3.2:latest", "llama3.2")
    strict = backend()
    strict.learn(frozenset({"llama3.2:latest"}))
    assert not strict.serves("llama3.2")


def test_it_has_room_up_to_its_permits() -> None:
    one, job = backend(max_concurrency=2), Job(1, "m")
    one.in_flight = 1
    assert one.has_room(job, bulk=False)
    one.in_flight = 2
    assert not one.has_room(job, bulk=False)


def test_shut_is_away_asleep_or_paused_and_gone_is_not_paused() -> None:
    for what in ("away", "asleep", "paused"):
        one = backend()
        assert not one.is_shut
        if what == "away":
            one.health.leave()
        elif what == "asleep":
            one.asleep = True
        else:
            one.pressure.said_busy(0, 3.0)
        assert one.is_shut
        assert one.is_gone == (what != "paused")


def test_service_times_are_smoothed() -> None:
    one = backend()
    one.took(10.0)
    assert (one.service_s, one.residence_s) == (10.0, None)
    one.took(20.0, 5.0)
    assert (one.service_s, one.residence_s) == (11.0, 5.0)


@pytest.mark.parametrize(
    ("before", "after", "limit"),
    [(3, 5, 5), (3, None, 1 << 62), (None, 2, 2), (5, 3, 3)],
)
def test_other_permits(before: int | None, after: int | None, limit: int) -> None:
    one = backend(max_concurrency=before)
    one.configure(BackendSpec("a", max_concurrency=after), HEALTH, one.pool, learns=True)
    assert one.limit == limit
    assert one.concurrency.learns == (after is None)


def test_what_it_said_when_it_was_full_still_holds() -> None:
    one = backend(max_concurrency=8)
    one.pressure.said_busy(3, None)
    one.configure(BackendSpec("a", max_concurrency=6), HEALTH, one.pool, learns=True)
    assert (one.limit, one.pressure.is_bound) == (3, True)
    one.configure(BackendSpec("a", max_concurrency=2), HEALTH, one.pool, learns=True)
    assert (one.limit, one.pressure.is_bound) == (2, False)


def test_another_pool_lends_its_costs() -> None:
    one, pool = backend(), Pool("q")
    pool.model.prefill.coefficients = [1.0, 2.0, 3.0, 4.0]
    one.configure(BackendSpec("a", pool="q"), HEALTH, pool, learns=True)
    assert one.model.prefill == [1.0, 2.0, 3.0, 4.0]


def test_another_kind_of_engine_has_other_traits_and_the_same_kind_what_it_said() -> None:
    one = backend()
    one.learn(frozenset({"m"}), LOOSE)
    one.configure(BackendSpec("a", labels=frozenset("g")), HEALTH, one.pool, learns=True)
    assert one.traits is LOOSE
    counting = Traits(counts_answer=True)
    one.configure(BackendSpec("a", traits=counting), HEALTH, one.pool, learns=True)
    assert one.traits is counting
    assert one.abilities.counts_answer


def test_routes_are_those_of_its_kind_as_configured_and_then_as_found() -> None:
    auto, written = BackendSpec("a"), BackendSpec("a", routes=frozenset({"route=/x"}))
    one = Backend(auto, 0, HEALTH)
    assert one.labels >= ROUTE_LABELS
    assert one.offers(frozenset({"route=/y"}))
    assert not one.offers(frozenset({"route=/y"}))
    assert one.labels == {"route=/y"}
    one.configure(auto, HEALTH, one.pool, learns=False)
    assert one.labels == {"route=/y"}, "what was found stays"
    one.configure(written, HEALTH, one.pool, learns=False)
    assert one.labels == {"route=/x"}


def test_each_of_several_models_has_the_labels_of_its_own_precision() -> None:
    one = backend(labels=frozenset({"big"}), aliases={"maths": "m:7b"})
    one.learn(frozenset({"chat:latest", "m:7b", "x:1b"}), LOOSE)
    one.tells(EngineFacts(precision="Q4_K_M"))
    assert one.tells_precisions({"chat:latest": "Q4_K_M", "chat": "Q4_K_M", "m:7b": "F16"})
    assert not one.tells_precisions({"chat:latest": "Q4_K_M", "chat": "Q4_K_M", "m:7b": "F16"})
    for name, wanted, other in (("chat", "int4", "fp16"), ("maths", "fp16", "int4"), ("m:7b", "fp16", "int4")):
        labels = one.labels_for(name)
        assert {"big", f"precision={wanted}"} <= labels
        assert f"precision={other}" not in labels
    assert one.labels_for("x:1b") == one.labels, "of which it tells nothing"
    assert (one.facts_for("maths").precision, one.facts_for("").precision) == ("F16", "Q4_K_M")
    one.is_set_up_anew()
    assert one.labels_for("maths") == one.labels


def test_where_no_precisions_are_told_all_models_have_the_labels_of_the_engine() -> None:
    one = backend()
    one.tells(EngineFacts(precision="fp8"))
    assert one.labels_for("anything") is one.labels
