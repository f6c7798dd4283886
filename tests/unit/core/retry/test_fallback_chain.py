"""Which ways there are to serve a request otherwise."""

import pytest

from proxy.config.plain import read
from proxy.core.retry.fallback_chain import FallbackChain, where_it_was
from proxy.model.classes import ClassSettings
from proxy.model.fallback import MAX_WAYS, ModelSettings

NONE: frozenset[str] = frozenset()


def fallbacks(classes: dict[str, object] | None = None, models: dict[str, object] | None = None) -> FallbackChain:
    return FallbackChain(
        [read(ClassSettings, {"name": name, "fallback": to}) for name, to in (classes or {}).items()],
        [read(ModelSettings, {"name": name, "fallback": to}) for name, to in (models or {}).items()],
    )


def told(
    found: FallbackChain, model: str = "m", of_class: str = "chat", require: frozenset[str] = NONE, **may: bool
) -> list[tuple[str, set[str], str]]:
    renamable = may.get("renamable", True)
    return [(way.model, set(way.require), way.said) for way in found.of(model, of_class, require, renamable)]


def test_nothing_is_configured() -> None:
    assert told(fallbacks()) == []
    assert told(fallbacks({"chat": {}}, {"m": {}})) == []
    assert told(fallbacks({"other": {"model": "n"}}, {"other": {"model": "n"}})) == []


def test_the_class_goes_before_the_model_and_the_model_on_from_there() -> None:
    found = fallbacks({"chat": {"model": "small"}}, {"m": {"model": "n"}, "n": {"model": "tiny"}})
    assert told(found) == [
        ("m", set(), ""),
        ("small", set(), "model:small"),
        ("n", set(), "model:n"),
        ("tiny", set(), "model:tiny"),
    ]
    assert told(found, of_class="bulk") == [("m", set(), ""), ("n", set(), "model:n"), ("tiny", set(), "model:tiny")]


def test_a_pool_is_kept_for_it_unless_the_rule_names_one() -> None:
    found = fallbacks({"chat": {"pool": "spare"}})
    assert told(found) == [("m", {"pool!=spare"}, ""), ("m", {"pool=spare"}, "pool:spare")]
    confined = frozenset({"pool=fast", "eu"})
    assert told(found, require=confined) == [("m", {"pool=fast", "eu"}, ""), ("m", {"pool=spare", "eu"}, "pool:spare")]
    assert told(found, require=frozenset({"pool=spare"})) == [], "there already"


def test_another_model_leaves_the_pool_but_keeps_the_other_labels() -> None:
    found = fallbacks({"chat": {"model": "n"}, "both": {"model": "n", "pool": "spare"}})
    confined = frozenset({"pool=fast", "eu"})
    assert told(found, require=confined)[1] == ("n", {"eu"}, "model:n")
    assert told(found, of_class="both") == [("m", set(), ""), ("n", {"pool=spare"}, "model:n,pool:spare")]


def test_what_names_no_model_that_could_be_replaced_stays_with_its_model() -> None:
    found = fallbacks({"chat": {"model": "n"}}, {"m": {"pool": "spare"}})
    assert told(found, renamable=False) == [("m", {"pool!=spare"}, ""), ("m", {"pool=spare"}, "pool:spare")]
    assert told(fallbacks({"chat": {"model": "n"}}), renamable=False) == []


@pytest.mark.parametrize("models", [{"m": {"model": "m"}}, {"m": {"model": "n"}, "n": {"model": "m"}}])
def test_circles_end(models: dict[str, object]) -> None:
    assert {model for model, _, _ in told(fallbacks({}, models))} <= {"m", "n"}


def test_chains_are_bounded() -> None:
    found = fallbacks({"chat": {"model": "c"}}, {f"m{i}": {"model": f"m{i + 1}"} for i in range(20)})
    assert len(told(found, "m0")) == 1 + MAX_WAYS


def test_a_name_is_said_in_printable_ascii() -> None:
    assert told(fallbacks({"chat": {"model": "größe; x=1"}}))[1][2] == "model:gr%C3%B6%C3%9Fe%3B%20x%3D1"
    assert told(fallbacks({"chat": {"model": "org/m-1.5:7b@q4"}}))[1][2] == "model:org/m-1.5:7b@q4"


def test_several_models_are_tried_in_order_and_each_ones_own_fallback_after_them() -> None:
    found = fallbacks(models={"m": {"model": "a", "models": ["b", "c"]}, "a": {"model": "d"}, "b": {"model": "m"}})
    assert [way.model for way in found.of("m", "chat", NONE, True)] == ["m", "a", "b", "c", "d"]


def test_what_makes_a_first_choice_fail_is_kept_with_the_way() -> None:
    found = fallbacks(models={"m": {"models": ["a"], "on": ["context"]}})
    assert found.of("m", "chat", NONE, True)[1].on == {"context"}


def test_entries_are_found_by_other_spellings() -> None:
    found = fallbacks(models={"llama:latest": {"model": "qwen"}, "qwen:latest": {"model": "tiny"}, "x": {"model": "y"}})
    both = {"llama": ("llama:latest",), "qwen": ("qwen:latest",)}

    def also(model: str) -> tuple[str, ...]:
        return both.get(model, ())

    names = [way.model for way in found.of("llama", "chat", NONE, True, also)]
    assert names == ["llama", "qwen", "tiny"]
    assert found.of("llama", "chat", NONE, True) == (), "of an engine that takes a name as it stands"
    assert found.of("x:latest", "chat", NONE, True, also) == ()


def test_what_goes_on_from_a_fallback_is_asked_for_and_served_where_it_was() -> None:
    here = frozenset({"backend=b"})
    first, then = where_it_was("large", "small", here)
    assert (first.model, first.require, first.said) == ("large", here, "")
    assert (then.model, then.require, then.said, then.on) == ("small", here, "model:small", frozenset())
    assert where_it_was("large", "large", here) == ()
