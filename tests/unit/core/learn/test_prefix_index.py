"""Prefix records: matches, bounds, eviction order, and what engines say."""

import random

import pytest

from proxy.core.learn.prefix_index import MIN_CAP, PrefixIndex

CHAIN = tuple(range(100, 140))


@pytest.mark.parametrize("held", [0, 1, 7, 39, 40])
def test_the_longest_match_is_found(held: int) -> None:
    record = PrefixIndex(1).record(0)
    record.add(CHAIN[:held])
    assert record.match(CHAIN) == held
    assert record.match(()) == 0


def test_another_prompt_matches_up_to_where_it_differs() -> None:
    record = PrefixIndex(1).record(0)
    record.add(CHAIN)
    assert record.match((*CHAIN[:5], 1, 2, 3)) == 5


def test_the_tail_goes_before_the_head_and_old_before_new() -> None:
    record = PrefixIndex(1).record(0)
    record.cap = 60
    record.add(CHAIN)
    record.add(tuple(range(200, 230)))
    assert len(record.blocks) == 60
    assert record.match(CHAIN) == 30
    assert record.match(tuple(range(200, 230))) == 30


def test_the_index_knows_the_best_holders_and_forgets_with_the_records() -> None:
    index = PrefixIndex(3)
    records = [index.record(i) for i in range(3)]
    records[0].add(CHAIN[:4])
    records[2].add(CHAIN[:9])
    assert index.best_holders(CHAIN) == 0b100
    assert index.best_holders(CHAIN[:4]) == 0b101
    assert index.best_holders((1, 2)) == 0
    records[2].wipe()
    assert index.best_holders(CHAIN) == 0b001
    records[0].wipe()
    assert index.holders == {}


def test_a_hit_that_falls_short_shrinks_and_one_that_is_confirmed_grows_up_to_the_kv_budget() -> None:
    record = PrefixIndex(1).record(0)
    record.fit(512 * 500, 512)
    assert record.cap == 500
    record.learn(1000, 100)
    assert record.cap == 485
    assert record.trust < 1
    for _ in range(50):
        record.learn(1000, 1000)
    assert record.cap == 500


def test_what_keeps_more_than_its_kv_memory_is_believed_to() -> None:
    record = PrefixIndex(1).record(0)
    record.fit(512 * 500, 512)
    for _ in range(8):
        record.holds_more()
    assert 1000 < record.cap < 1200
    record.fit(512 * 1000, 512)
    assert 2000 < record.cap < 2400, "whatever it is worth by now"
    for _ in range(100_000):
        record.holds_more()
    assert record.cap < 500 * 150


def test_how_much_of_answers_is_found_is_learned() -> None:
    record = PrefixIndex(1).record(0)
    assert record.answers == 0.0
    for _ in range(30):
        record.learn_answer(1.4)
    assert record.answers == pytest.approx(1.0, abs=0.05)
    for _ in range(30):
        record.learn_answer(-0.2)
    assert record.answers == pytest.approx(0.0, abs=0.05)


def test_three_hits_of_nothing_wipe() -> None:
    record = PrefixIndex(1).record(0)
    record.add(CHAIN)
    record.learn(1000, 0)
    record.learn(1000, 0)
    assert record.blocks
    record.learn(1000, 0)
    assert not record.blocks


def test_a_record_is_bounded_by_its_share_of_all() -> None:
    assert PrefixIndex(100_000).record(0).cap == MIN_CAP
    record = PrefixIndex(1).record(0)
    for start in range(0, 20_000, 40):
        record.add(tuple(range(start, start + 40)))
    assert len(record.blocks) == record.cap == 4096


def test_records_and_index_agree_after_a_random_life() -> None:
    rng, index = random.Random(3), PrefixIndex(4)
    records = [index.record(i) for i in range(4)]
    for record in records:
        record.cap = MIN_CAP
    for _ in range(500):
        record = rng.choice(records)
        start = rng.randrange(5) * 1000
        record.add(tuple(range(start, start + rng.randrange(20))))
        if rng.random() < 0.1:
            record.learn(100, rng.choice([0, 100]))
    for start in range(0, 5000, 1000):
        chain = tuple(range(start, start + 20))
        assert index.depths(chain) == {r.mask: r.match(chain) for r in records if r.match(chain)}
    assert index.depths(()) == {}
    for block in {b for r in records for b in r.blocks} | index.holders.keys():
        assert index.holders.get(block, 0) == sum(r.mask for r in records if block in r.blocks)
