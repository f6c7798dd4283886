"""Rules that cannot decide, and promises that cannot be kept, are found with their place."""

from pathlib import Path

import pytest

from proxy.config.loader import load_text
from proxy.config.plain import read
from proxy.config.rules import includes
from proxy.config.secrets import SecretSource
from proxy.model.rules import When

HEAD = "version: 1\nbackends:\n  - {url: 'http://a:1', models: [qwen-8b, llama], labels: [fp8], pool: fast}\n"
RULES = HEAD + "routing:\n  rules:\n"


def told(text: str) -> list[str]:
    found = load_text(text, "f", SecretSource({}, Path()))
    return [f"{d.severity.value} {d.line}:{d.column} {d.path}: {d.message}" for d in found.diagnostics]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("    - {when: {stream: true}, class: bulk}\n    - {when: {stream: false}, class: bulk}\n", []),
        (
            "    - {when: {model: ['qwen*']}, class: bulk}\n    - when: {model: [qwen-8b], stream: true}\n",
            ["warning 7:7 routing.rules[1]: never matches: routing.rules[0] takes everything it could"],
        ),
        (
            "    - {when: {max_tokens: {min: 9, max: 3}}, class: bulk}\n",
            ["warning 6:15 routing.rules[0].when.max_tokens: the rule never matches: min 9 is above max 3"],
        ),
        (
            "    - {when: {model: [gpt-4]}, class: bulk}\n",
            ['warning 6:23 routing.rules[0].when.model[0]: the rule never matches: no backend serves "gpt-4"'],
        ),
        (
            "    - {when: {asked_class: [x]}, class: bulk}\n",
            ["warning 6:15 routing.rules[0].when.asked_class: the rule never matches: no such class can be asked for"],
        ),
        ("    - {class: bulky}\n", ['error 6:15 routing.rules[0].class: there is no class "bulky"']),
        ("    - {pool: slow}\n", ['error 6:14 routing.rules[0].pool: no backend is in the pool "slow"']),
        (
            "    - {require: [eu]}\n",
            [
                "warning 6:18 routing.rules[0].require[0]: "
                'no backend has the label "eu", so that what matches is refused'
            ],
        ),
        ("    - {clas: bulk}\n", ["error 6:8 routing.rules[0].clas: unknown key"]),
    ],
)
def test_rules(rules: str, expected: list[str]) -> None:
    assert told(RULES + rules) == expected


TWO = (
    "version: 1\nbackends:\n  - {url: 'http://a:1', models: [m], labels: [fp8], pool: fast}\n"
    "  - {url: 'http://b:1', models: [n], labels: [eu], pool: slow}\nrouting:\n  rules:\n"
)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{pool: fast, require: [fp8]}", []),
        (
            "{pool: slow, require: [fp8]}",
            'error 7:20 routing.rules[0].require: no backend of the pool "slow" has the label "fp8"',
        ),
        ("{require: [fp8, eu]}", 'error 7:8 routing.rules[0].require: no backend has the labels "fp8", "eu" together'),
        ("{require: [fp9, eu]}", 'warning 7:18 routing.rules[0].require[0]: no backend has the label "fp9"'),
        ("{prefer: [eu]}", []),
        ("{prefer: [ue]}", 'warning 7:17 routing.rules[0].prefer[0]: has no effect: no backend has the label "ue"'),
        (
            "{pool: fast, prefer: [eu]}",
            "warning 7:29 routing.rules[0].prefer[0]: has no effect: no backend of the pool",
        ),
        ("{pool: fast, when: {model: [m]}}", []),
        (
            "{pool: fast, when: {model: ['n*']}}",
            "warning 7:35 routing.rules[0].when.model[0]: no backend that this rule sends to",
        ),
        (
            "{require: [eu], when: {model: [m]}}",
            "warning 7:38 routing.rules[0].when.model[0]: no backend that this rule",
        ),
    ],
)
def test_pools_labels_and_models_that_nobody_has_together(rule: str, expected: str | list[str]) -> None:
    found = told(TWO + f"    - {rule}\n")
    if isinstance(expected, str):
        (only,) = found
        assert only.startswith(expected)
    else:
        assert found == expected


FACTS = (
    "version: 1\nbackends:\n  - {url: 'http://a:1', kind: vllm, precision: FP16, labels: [eu]}\n"
    "  - {url: 'http://b:1', kind: llama.cpp}\nrouting:\n  rules:\n"
)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{require: {precision: fp16}}", []),
        ("{require: [eu, precision=16bit]}", []),
        ("{require: {precision: int4}}", []),  # llama.cpp tells
        ("{require: {engine: sglang}}", "warning 7:8 routing.rules[0].require: no backend has engine sglang, so that"),
        ("{require: {gpu: H100}}", "warning 7:8 routing.rules[0].require: no backend has gpu h100, so that what"),
        ("{prefer: {attention: flash}}", "warning 7:8 routing.rules[0].prefer: no backend has attention flash, so"),
        (
            "{require: {precision: int4, labels: [eu]}}",
            "warning 7:8 routing.rules[0].require: no backend has eu, precision=int4 together, so that what",
        ),
        ("{require: {precise: fp16}}", 'error 7:8 routing.rules[0].require: "precise" is nothing that is known'),
        ("{require: {precision: ''}}", "error 7:8 routing.rules[0].require: precision must be a word of up to 64"),
        ("{require: {labels: eu}}", "error 7:8 routing.rules[0].require: labels must be a list of labels"),
    ],
)
def test_facts_of_engines(rule: str, expected: str | list[str]) -> None:
    found = told(FACTS + f"    - {rule}\n")
    if isinstance(expected, str):
        (only,) = found
        assert only.startswith(expected)
    else:
        assert found == expected


def test_promises() -> None:
    assert (
        told(HEAD + "classes:\n  - {name: chat, slo: chatbot}\n  - {name: c2, slo: {preset: copilot, ttft: 1s}}\n")
        == []
    )
    assert told(HEAD + "classes:\n  - {name: chat, slo: {ttft: 0}}\n") == [
        "error 5:30 classes[0].slo.ttft: must be above 0: it could never be kept"
    ]
    (unknown,) = told(HEAD + "classes:\n  - {name: chat, slo: chatbox}\n")
    assert "chatbot" in unknown
    assert unknown.startswith("error 5:")


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [
        ({}, {"stream": True}, True),
        ({"stream": True}, {}, False),
        ({"stream": False}, {"stream": True}, False),
        ({"endpoint": ["chat.completions", "score"]}, {"endpoint": ["score"]}, True),
        ({"endpoint": ["score"]}, {"endpoint": ["chat.completions", "score"]}, False),
        ({"model": ["a*"]}, {"model": ["ab*", "a"]}, True),
        ({"model": ["ab*"]}, {"model": ["a*"]}, False),
        ({"model": ["ab"]}, {"model": ["ab*"]}, False),
        ({"max_tokens": {"min": 5}}, {"max_tokens": {"min": 6, "max": 9}}, True),
        ({"max_tokens": {"max": 8}}, {"max_tokens": {"min": 6, "max": 9}}, False),
        ({"max_tokens": {"max": 8}}, {}, False),
        ({"max_tokens": {"min": 0}}, {}, True),
    ],
)
def test_one_condition_includes_another(wide: dict[str, object], narrow: dict[str, object], expected: bool) -> None:
    assert includes(read(When, wide), read(When, narrow)) is expected
