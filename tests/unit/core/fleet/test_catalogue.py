"""Which backend serves which name, and what to say about a name that none serves."""

from typing import Any

import pytest

from proxy.core.fleet.backend import Backend
from proxy.core.fleet.catalogue import Catalogue, shown_name
from proxy.model.abilities import Traits
from proxy.model.backend import BackendSpec
from proxy.model.faults import Kind, Source
from proxy.model.limits import HealthSettings


def catalogue(*specs: BackendSpec) -> tuple[Catalogue, list[Backend]]:
    backends = [Backend(spec, i, HealthSettings()) for i, spec in enumerate(specs)]
    return Catalogue(backends), backends


def names(index: Catalogue, model: str) -> list[str] | None:
    candidates = index.find(model)
    return None if candidates is None else [b.name for b in candidates.backends]


def test_fixed_models_are_known_at_once_and_no_probe_changes_them() -> None:
    index, backends = catalogue(BackendSpec("a", models=frozenset({"m"})))
    assert names(index, "m") == ["a"]
    assert not index.learn(backends[0], frozenset({"other"}))
    assert index.models() == ("m",)
    assert index.version == 0


def test_unknown_models_are_learnt_from_the_first_good_probe() -> None:
    index, backends = catalogue(BackendSpec("a", aliases={"gpt": "m"}), BackendSpec("b", models=frozenset({"m"})))
    assert names(index, "m") == ["b"]
    assert index.learn(backends[0], frozenset({"m", "n"}))
    assert index.models() == ("gpt", "m", "n")
    assert (names(index, "m"), names(index, "n"), names(index, "gpt")) == (["a", "b"], ["a"], ["a"])
    assert index.version == 1


def test_the_same_list_again_changes_nothing() -> None:
    index, backends = catalogue(BackendSpec("a"))
    assert index.learn(backends[0], frozenset({"m"}))
    before = index.find("m")
    assert not index.learn(backends[0], frozenset({"m"}))
    assert index.find("m") is before
    assert index.version == 1


def test_a_new_list_replaces_the_old_one() -> None:
    index, backends = catalogue(BackendSpec("a"))
    index.learn(backends[0], frozenset({"m"}))
    index.learn(backends[0], frozenset({"n"}))
    assert index.models() == ("n",)
    assert index.find("m") is None


def test_an_engine_that_lists_nothing_takes_every_name() -> None:
    index, backends = catalogue(BackendSpec("a"), BackendSpec("b", models=frozenset({"m"})))
    assert index.find("whatever") is None
    index.learn(backends[0], None)
    assert names(index, "whatever") == ["a"]
    assert names(index, "m") == ["b"], "nobody knows yet whether it is an engine"
    assert backends[0].is_of_kind("transformers")
    assert index.learn(backends[0], None)
    assert names(index, "m") == ["a", "b"]
    index.learn(backends[0], frozenset({"m"}))
    assert index.find("whatever") is None


def test_models_any_takes_every_name_before_any_probe() -> None:
    index, backends = catalogue(BackendSpec("a", any_model=True), BackendSpec("b", models=frozenset({"m"})))
    assert names(index, "made-up") == ["a"]
    assert names(index, "m") == ["a", "b"]
    assert index.models() == ("m",)
    index.learn(backends[0], frozenset({"x"}))
    assert names(index, "made-up") == ["a"]
    assert index.models() == ("m", "x")


def test_models_of_the_same_backends_share_their_candidates() -> None:
    both = frozenset({"m", "n"})
    index, _ = catalogue(BackendSpec("a", models=both), BackendSpec("b", models=both | {"only"}))
    assert index.find("m") is index.find("n")
    assert len(index.candidates()) == 2


def test_memberships_follow_the_index() -> None:
    index, backends = catalogue(BackendSpec("a"), BackendSpec("b", models=frozenset({"m"})))
    assert backends[0].memberships == []
    index.learn(backends[0], frozenset({"m"}))
    assert backends[0].memberships == backends[1].memberships == [index.find("m")]


def test_an_unknown_model_names_near_ones() -> None:
    index, _ = catalogue(BackendSpec("a", models=frozenset({"qwen3-32b", "qwen3-8b", "whisper"})))
    fault = index.unserved("qwen3-32", 5.0)
    assert (fault.source, fault.kind, fault.code) == (Source.DOWNSTREAM, Kind.MODEL_NOT_FOUND, "model_not_found")
    assert fault.param == "model"
    assert '"qwen3-32"' in fault.message
    assert "did you mean: qwen3-32b, qwen3-8b" in fault.message
    assert "whisper" not in fault.message
    assert fault.retry_after_s is None


def test_without_a_near_one_some_served_ones_are_named() -> None:
    index, _ = catalogue(BackendSpec("a", models=frozenset(f"model-{c}" for c in "abcdefgh")))
    message = index.unserved("zzz", 5.0).message
    assert "model-a, model-b, model-c, model-d, model-e." in message
    assert "model-f" not in message


def test_while_a_backend_is_silent_a_model_may_still_come() -> None:
    index, backends = catalogue(BackendSpec("a"), BackendSpec("b", models=frozenset({"m"})))
    fault = index.unserved("n", 5.0)
    assert (fault.source, fault.kind, fault.retry_after_s) == (Source.INTERNAL, Kind.NO_BACKEND, 5.0)
    assert "not answered yet" in fault.message
    assert fault.message.endswith(": a.")
    index.learn(backends[0], frozenset())
    assert index.unserved("n", 5.0).kind is Kind.MODEL_NOT_FOUND


def test_many_silent_backends_are_counted() -> None:
    index, _ = catalogue(*(BackendSpec(f"b{i}") for i in range(7)))
    assert "b0, b1, b2, b3, b4 and 2 more" in index.unserved("m", 5.0).message


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("meta/llama-3:8b", "meta/llama-3:8b"),
        ("a\r\nb\x00\x7f\u202eé", "a??b????"),
        ('say "hi"\\', "say ?hi??"),
        ("x" * 63, "x" * 63),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 64),
    ],
)
def test_names_are_shown_safely(name: str, shown: str) -> None:
    assert shown_name(name) == shown


def test_the_message_never_holds_more_of_a_long_name() -> None:
    index, _ = catalogue(BackendSpec("a", models=frozenset({"m"})))
    assert "x" * 65 not in index.unserved("x" * 10_000, 5.0).message


# ---- names that engines take in several spellings

LOOSE = Traits(loose_names=True)


def ollama(*models: str, **more: Any) -> BackendSpec:
    return BackendSpec("o", models=frozenset(models), traits=LOOSE, **more)


@pytest.mark.parametrize("listed", ["llama3.2", "llama3.2:latest"])
@pytest.mark.parametrize("asked", ["llama3.2", "llama3.2:latest", "Llama3.2", "library/llama3.2"])
def test_an_implicit_tag_is_understood_both_ways(listed: str, asked: str) -> None:
    index, _ = catalogue(ollama(listed))
    assert names(index, asked) == ["o"]
    assert index.listed_as(asked) == listed
    assert index.models() == (listed,)


@pytest.mark.parametrize("asked", ["llama3.2:1b", "llama3", "mike/llama3.2"])
def test_other_models_stay_others(asked: str) -> None:
    index, _ = catalogue(ollama("llama3.2:latest"))
    assert names(index, asked) is None
    assert index.listed_as(asked) is None


def test_other_engines_take_a_name_as_it_stands() -> None:
    index, _ = catalogue(BackendSpec("v", models=frozenset({"a:latest", "b"})), ollama("b:latest", "c"))
    assert names(index, "a:latest") == ["v"]
    assert names(index, "a") is None
    assert names(index, "b") == ["v", "o"]
    assert names(index, "b:latest") == ["o"], "that is not the other one's name"
    assert names(index, "B") == ["o"]
    assert index.also("a:latest") == ()
    assert index.also("b") == (), "it may be served by an engine that knows no other spelling"
    assert index.also("b:latest") == ("b",)


def test_the_literal_name_of_another_engine_is_not_sent_the_short_one() -> None:
    index, _ = catalogue(BackendSpec("v", models=frozenset({"c:latest"})), ollama("c:latest"))
    assert names(index, "c:latest") == ["v", "o"]
    assert names(index, "c") == ["o"]


def test_a_kind_that_is_found_out_changes_the_index() -> None:
    index, (backend,) = catalogue(BackendSpec("a"))
    listed = frozenset({"m:latest"})
    assert index.learn(backend, listed)
    assert names(index, "m") is None
    assert index.learn(backend, listed, LOOSE)
    assert names(index, "m") == ["a"]
    assert not index.learn(backend, listed, LOOSE)
    assert not index.learn(backend, listed), "not told again"
    assert index.learn(backend, listed, Traits())
    assert names(index, "m") is None


def test_aliases_and_what_is_sent() -> None:
    _, (backend,) = catalogue(ollama("llama3.2:latest", "gpt", aliases={"gpt": "llama3.2"}))
    assert backend.own_name("gpt") == backend.own_name("gpt:latest") == "llama3.2"
    assert backend.own_name("llama3.2") == "llama3.2", "as asked: the engine understands it, and echoes it"
    assert backend.own_name("Llama3.2:latest") == "Llama3.2:latest"
    assert backend.listed_name("gpt") == backend.listed_name("Llama3.2") == "llama3.2:latest"


def test_one_that_takes_any_name_takes_all_spellings() -> None:
    index, _ = catalogue(BackendSpec("x", any_model=True), ollama("m:latest"))
    assert names(index, "m") == ["x", "o"]
    assert names(index, "other") == ["x"]


def test_it_counts_who_is_healthy_of_those_that_serve_a_name() -> None:
    index, backends = catalogue(
        BackendSpec("a", models=frozenset({"m", "n"})), BackendSpec("b", models=frozenset({"m"}))
    )
    assert index.healthy(9) == {"m": 2, "n": 1}
    backends[0].health.leave()
    for candidates in index.candidates():
        candidates.reopen(0.5)
    assert index.healthy(9) == {"m": 1, "n": 0}
    assert index.healthy(1) == {"m": 1}


def test_names_of_those_that_have_a_label() -> None:
    one, other = (BackendSpec(n, models=frozenset({"m", n}), labels=frozenset({n, "both"})) for n in ("a", "b"))
    index, backends = catalogue(one, other, BackendSpec("silent", labels=frozenset({"both"})))
    assert index.with_label("a") == (("a", "m"), True)
    assert index.with_label("both") == (("a", "b", "m"), False)
    assert index.with_label("nobody") == ((), True)
    assert index.with_label("route=/pooling")[0] == ("a", "b", "m"), "it may have any, until it is known what it is"
    assert backends[0].offers(frozenset())
    assert not backends[0].offers(frozenset())
    assert index.with_label("route=/pooling")[0] == ("b", "m")
