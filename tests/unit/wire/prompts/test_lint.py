"""The prefix lint: names the line that changes, within few requests, at next to no cost, without a word of it."""

import random
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from proxy.wire.prompts.lint import FIRST, MAX_GATES, MAX_PROMPTS, ONE_IN, PrefixFinding, PrefixLint

RULES = "\n".join(f"Rule {number}: mind the {number * 7} spoons of drawer {number % 13}." for number in range(200))
TOOL = {"type": "function", "function": {"name": "read", "description": "reads " * 50}}


def chat(system: str, user: str = "hi", **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "system", "content": system}, {"role": "user", "content": user}], **more}


def found(count: int, make: Callable[[int], dict[str, Any]]) -> list[PrefixFinding]:
    lint = PrefixLint()
    for number in range(count):
        lint.saw("web", "m", "", make(number))
    return lint.findings()


def test_the_sentence_names_place_class_and_price_within_ten_requests() -> None:
    (one,) = found(10, lambda i: chat(f"You are an agent. The time is now: 37 2026-11-28T10:00:{i:02}\n{RULES}"))
    assert (one.byte, one.line, one.kind, one.part) == (38, 1, "timestamp", "the system prompt")
    tokens = len(RULES) / 4
    assert one.reused == 0
    assert 0.95 * tokens <= one.saved <= 1.05 * tokens
    assert "tenant web: the system prompt changes at byte 38 (timestamp): 0 % of " in one.sentence()
    assert f"would save about {one.saved:,.0f} prefill tokens per request" in one.sentence()


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (lambda i: f"x-anthropic-billing-header: cc_version=2.{i}; cch={i * 7919 % 65536:05x};", "billing line"),
        (lambda i: f"Session {uuid.UUID(int=(i + 1) * 2**100 + i)}", "uuid"),
        (lambda i: f"You answer request {i + 995}.", "counter"),
        (lambda i: f"salt {random.Random(i).randbytes(8).hex()}a1", "hex"),
        (lambda i: f"You talk to {('Alice', 'Bob', 'Carol')[i % 3]}.", "other"),
    ],
)
@pytest.mark.parametrize("place", ["first", "fifth", "one line"])
def test_whatever_changes_wherever_in_the_front(line: Callable[[int], str], kind: str, place: str) -> None:
    def system(number: int) -> str:
        if place == "one line":
            return f"{line(number)} {RULES.replace(chr(10), ' ')}"
        lines = RULES.split("\n")
        lines.insert(0 if place == "first" else 4, line(number))
        return "\n".join(lines)

    (one,) = found(10, lambda i: chat(system(i), f"question {i}"))
    assert one.kind == kind
    assert one.line == (5 if place == "fifth" else 1)
    assert one.saved > 1000


def test_two_lines_that_change_are_told_by_the_first_and_the_rest_still_counts() -> None:
    (one,) = found(12, lambda i: chat(f"Request {i}\n{RULES}\n\nNow {i}:00\n{RULES.replace('R', 'P')}"))
    assert (one.line, one.kind) == (1, "counter")
    assert one.saved > 0.9 * 2 * len(RULES) / 4


def test_tools_that_change_are_told_apart_from_the_text() -> None:
    (one,) = found(10, lambda i: chat(RULES, tools=[{"name": f"t{i}", "id": f"run {i}"}, TOOL]))
    assert (one.part, one.line) == ("the list of tools", 1)
    (one,) = found(10, lambda i: chat(f"n {i}\n{RULES}", tools=[TOOL]))
    assert (one.part, one.byte, one.line) == ("the system prompt", 2, 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda i: chat(RULES, f"other words {i}"),
        lambda i: chat(f"{RULES}\nToday is 2026-11-{i % 28 + 1:02}"),
        lambda i: chat(RULES + "\nmore" * i),
        lambda i: chat(random.Random(i).randbytes(500).hex()),
        lambda i: {"prompt": f"{i} a question of its own, with an answer of its own {i}"},
        lambda i: {"messages": [7]},
        lambda i: {},
    ],
    ids=["same", "changes last", "grows", "all another", "short", "nonsense", "empty"],
)
def test_what_is_well_is_not_told(make: Callable[[int], dict[str, Any]]) -> None:
    assert found(40, make) == []


def test_a_new_version_of_a_prompt_is_no_finding() -> None:
    assert found(16, lambda i: chat(f"Version {i // 8}\n{RULES}")) == []


def test_prompts_of_one_tenant_are_told_apart_and_tenants_too() -> None:
    lint = PrefixLint()
    other = RULES.replace("spoons", "forks")[:3000]
    for number in range(10):
        lint.saw("a", "m", "", chat(f"n {number}\n{RULES}"))
        lint.saw("a", "m", "", chat(other))
        lint.saw("b", "m", "", chat(RULES))
    (one,) = lint.findings()
    assert (one.tenant, one.model) == ("a", "m")
    assert one.looked_at == 10


def test_a_change_that_begins_late_is_found() -> None:
    lint = PrefixLint()
    for _ in range(500):
        lint.saw("a", "m", "", chat(RULES))
    assert lint.looked_at < FIRST + 500 / ONE_IN + 1
    assert not lint.findings()
    for number in range(12 * ONE_IN):
        lint.saw("a", "m", "", chat(f"n {number}\n{RULES}"))
    assert lint.findings()


def test_nothing_of_a_text_is_told() -> None:
    lint = PrefixLint()
    for number in range(10):
        lint.saw("a", "m", "", chat(f"SECRET{number} {number}\n{RULES}"))
    assert lint.findings()
    told = str(lint.report())
    assert "SECRET" not in told
    assert "spoon" not in told


def test_memory_is_bounded_whatever_comes() -> None:
    lint = PrefixLint()
    draw = random.Random(7)
    for number in range(4000):
        lint.saw(f"t{number % 500}", "m", "", {"prompt": draw.randbytes(draw.randrange(400)).hex()})
    assert len(lint._gates) <= MAX_GATES
    assert sum(map(len, lint._prompts.values())) == lint._count <= MAX_PROMPTS
