"""Rules first, then the header, the tier, and what answers usually are."""

from dataclasses import replace
from typing import Any

import pytest

from proxy.config.plain import read
from proxy.core.tenancy.classify import Classified, Classifier, RequestTraits
from proxy.model.classes import ClassSettings, with_built_in
from proxy.model.rules import RuleSettings
from proxy.model.tenants import TenantSettings

CLASSES = with_built_in((read(ClassSettings, {"name": "gold", "slo": "chatbot", "priority": 5}),))


def asked(**changes: Any) -> RequestTraits:
    usual = RequestTraits("chat.completions", "m", "", True, "", "", None, 100, False)
    return replace(usual, **changes)


def classified(*rules: dict[str, Any], bulk_tokens: int | None = 2048, **changes: Any) -> Classified:
    built = [read(RuleSettings, rule) for rule in rules]
    return Classifier(CLASSES, built, bulk_tokens).classify(asked(**changes))


def names(found: Classified) -> tuple[str, str, int | None]:
    return found.traffic_class.name, found.by, found.rule


def test_the_order_of_what_decides() -> None:
    rule = {"when": {"stream": True}, "class": "gold"}
    everything: dict[str, Any] = {"asked_class": "bulk", "service_tier": "flex", "max_tokens": 9000}
    assert names(classified(rule, **everything)) == ("gold", "rule", 0)
    assert names(classified(rule, **everything, stream=False)) == ("bulk", "header", None)
    assert names(classified(asked_class="gold", service_tier="flex")) == ("gold", "header", None)
    assert names(classified(service_tier="flex")) == ("bulk", "tier", None)
    assert names(classified(service_tier="default")) == ("interactive", "default", None)
    assert names(classified(service_tier="no such tier")) == ("interactive", "default", None)
    assert names(classified(stream=False, max_tokens=2048)) == ("bulk", "work", None)
    assert names(classified(stream=False, max_tokens=2047)) == ("interactive", "default", None)
    assert names(classified(stream=True, max_tokens=9000)) == ("interactive", "default", None)
    assert names(classified(stream=False, max_tokens=9000, bulk_tokens=None)) == ("interactive", "default", None)


def test_the_first_rule_that_fits_decides_alone() -> None:
    rules = ({"when": {"model": ["x*"]}, "class": "gold"}, {"prefer": ["eu"]}, {"class": "bulk"})
    found = classified(*rules)
    assert names(found) == ("interactive", "default", 1)
    assert found.prefer == {"eu"}
    assert names(classified(*rules, model="xy")) == ("gold", "rule", 0)


def test_a_rule_wants_backends() -> None:
    found = classified({"pool": "fast", "require": ["fp8"]})
    assert found.require == {"pool=fast", "fp8"}


def test_the_priority_tier_goes_first_in_its_class() -> None:
    found = classified(service_tier="priority")
    assert (found.traffic_class.name, found.priority) == ("interactive", 1)
    own = with_built_in((ClassSettings(name="priority"),))
    assert Classifier(own, (), None).classify(asked(service_tier="priority")).traffic_class.name == "priority"


@pytest.mark.parametrize(
    ("when", "fitting", "other"),
    [
        ({"endpoint": ["score"]}, {"endpoint": "score"}, {}),
        ({"tenant": ["0123abcd"]}, {"tenant": "0123abcd"}, {"tenant": ""}),
        ({"asked_class": ["gold"]}, {"asked_class": "gold"}, {}),
        ({"service_tier": ["flex"]}, {"service_tier": "flex"}, {}),
        ({"stream": False}, {"stream": False}, {"stream": True}),
        ({"constrained": True}, {"constrained": True}, {}),
        ({"max_tokens": {"min": 10, "max": 20}}, {"max_tokens": 20}, {"max_tokens": 21}),
        ({"max_tokens": {"max": 20}}, {"max_tokens": 0}, {"max_tokens": None}),
        ({"prompt_tokens": {"min": 101}}, {"prompt_tokens": 101}, {}),
        ({"model": ["a", "b*"]}, {"model": "bc"}, {"model": "ab"}),
    ],
)
def test_conditions(when: dict[str, Any], fitting: dict[str, Any], other: dict[str, Any]) -> None:
    assert classified({"when": when}, **fitting).rule == 0
    assert classified({"when": when}, **other).rule is None


def test_whole_answers_that_are_usually_long_are_bulk_and_short_ones_are_not() -> None:
    classifier = Classifier(CLASSES, (), 1000)
    long, short = asked(tenant="a", stream=False), asked(tenant="b", stream=False, max_tokens=4000)
    assert classifier.classify(long).traffic_class.name == "interactive"
    assert classifier.classify(short).traffic_class.name == "bulk"
    for _ in range(100):
        classifier.learn(long, 3000)
        classifier.learn(short, 50)
    assert classifier.classify(long).traffic_class.name == "bulk"
    assert classifier.classify(short).traffic_class.name == "interactive"


@pytest.mark.parametrize("how", [{"stream": True}, {"stream": False, "promised": True}])
def test_who_reads_along_or_was_promised_a_time_keeps_it_however_long_answers_get(how: dict[str, Any]) -> None:
    classifier = Classifier(CLASSES, (), 1000)
    reasoning = asked(tenant="a", max_tokens=64_000, **how)
    for _ in range(100):
        classifier.learn(reasoning, 7000)
    assert names(classifier.classify(reasoning)) == ("interactive", "default", None)


@pytest.mark.parametrize("slo", [{"ttft": "2s"}, {"tpot": "50ms"}])
def test_what_the_usual_class_promises_is_kept_too(slo: dict[str, str]) -> None:
    promising = with_built_in((read(ClassSettings, {"name": "interactive", "slo": slo}),))
    found = Classifier(promising, (), 1000).classify(asked(stream=False, max_tokens=9000))
    assert names(found) == ("interactive", "default", None)


def test_what_is_learned_is_bounded() -> None:
    classifier = Classifier(CLASSES, (), 1000)
    for number in range(5000):
        classifier.learn(asked(tenant=str(number), stream=False), 10)
    assert len(classifier._work._medians) == 4096


def test_a_rule_names_a_model_in_any_spelling() -> None:
    rule = {"when": {"model": ["llama:latest", "qwen*"]}, "class": "gold"}
    assert names(classified(rule, model="llama", also=("llama:latest",))) == ("gold", "rule", 0)
    assert names(classified(rule, model="Qwen3", also=("qwen3:latest", "qwen3"))) == ("gold", "rule", 0)
    assert names(classified(rule, model="llama")) == ("interactive", "default", None)


RANKED = [
    {"name": "urgent", "priority": 5},
    {"name": "interactive"},
    {"name": "bulk"},
    {"name": "night", "bulk": True, "priority": 9},
]


@pytest.mark.parametrize(
    ("ceiling", "wanted", "got"),
    [
        ("interactive", "urgent", "interactive"),
        ("interactive", "interactive", "interactive"),
        ("interactive", "bulk", "bulk"),
        ("bulk", "urgent", "bulk"),
        ("bulk", "interactive", "bulk"),
        ("bulk", "night", "bulk"),
        ("night", "interactive", "night"),
        ("urgent", "interactive", "interactive"),
        (None, "urgent", "urgent"),
    ],
)
def test_nobody_gets_above_the_ceiling(ceiling: str | None, wanted: str, got: str) -> None:
    classes = with_built_in(tuple(read(ClassSettings, one) for one in RANKED))
    for entry in ("t", "*"):
        tenants = [read(TenantSettings, {"tenant": entry, "highest_class": ceiling})]
        found = Classifier(classes, [], None, tenants).classify(asked(asked_class=wanted, tenant="t"))
        assert found.traffic_class.name == got
        assert (found.by == "ceiling") is (got != wanted)


def test_a_rule_and_a_tier_do_not_lift_anybody_above_it() -> None:
    classes = with_built_in(())
    rules = [read(RuleSettings, {"class": "interactive", "require": ["x"]})]
    tenants = [read(TenantSettings, {"tenant": "t", "highest_class": "bulk"}), read(TenantSettings, {"tenant": "u"})]
    by_rule = Classifier(classes, rules, None, tenants).classify(asked(tenant="t"))
    assert (by_rule.traffic_class.name, by_rule.require) == ("bulk", frozenset({"x"})), "the rest of the rule holds"
    by_tier = Classifier(classes, [], None, tenants).classify(asked(tenant="t", service_tier="priority"))
    assert (by_tier.traffic_class.name, by_tier.priority) == ("bulk", 0)
    other = Classifier(classes, [], None, tenants).classify(asked(tenant="u", service_tier="priority"))
    assert (other.traffic_class.name, other.priority) == ("interactive", 1)
