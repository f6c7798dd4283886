"""Chats: their sizes, and conversations that carry what was said before."""

import itertools

import pytest

from proxy.bench.asks import digest
from proxy.bench.workloads.chats import MultiTurn, SingleTurn

CHAT = SingleTurn("short-chat", prompt=(20, 200), output=(50, 150))


def test_a_seed_and_a_number_say_it_all() -> None:
    first, again, other = (CHAT.session(seed, 3).asks[0] for seed in (1, 1, 2))
    assert digest(first, None) == digest(again, None)
    assert digest(first, None) != digest(other, None)
    assert digest(first, None) != digest(CHAT.session(1, 4).asks[0], None)


def test_answers_are_as_long_as_the_name_says() -> None:
    lengths = {CHAT.session(1, number).asks[0].output_tokens for number in range(300)}
    assert 50 <= min(lengths) < 60
    assert 140 < max(lengths) <= 150
    assert all(CHAT.session(1, number).asks[0].fields["max_tokens"] <= 150 for number in range(10))


@pytest.mark.parametrize(("streams", "name"), [(True, ""), (False, "bulk")])
def test_bulk_is_whole_and_says_what_it_is(streams: bool, name: str) -> None:
    load = SingleTurn("x", (10, 10), (5, 5), streams=streams, traffic_class=name)
    (ask,) = load.session(1, 0).asks
    assert ask.fields["stream"] is streams
    assert ask.headers == ({"x-tidegate-class": name} if name else {})


def test_each_turn_begins_with_the_turn_before_and_its_answer() -> None:
    for number in range(20):
        asks = MultiTurn().session(7, number).asks
        assert 2 <= len(asks) <= 8
        for before, after in itertools.pairwise(asks):
            old, new = before.fields["messages"], after.fields["messages"]
            assert new[: len(old)] == old
            assert [one["role"] for one in new[len(old) :]] == ["assistant", "user"]
        assert asks[0].gap_s == 0.0
        assert all(0 < ask.gap_s <= 30 for ask in asks[1:])


def test_system_prompts_are_shared() -> None:
    systems = {MultiTurn().session(7, number).asks[0].fields["messages"][0]["content"] for number in range(60)}
    assert len(systems) == 4
