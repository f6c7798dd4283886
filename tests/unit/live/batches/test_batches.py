"""Batches of the store: states, lines in the order of their heads, and one result for each whatever comes."""

from pathlib import Path

import pytest

from proxy.live.batches.database import StoreFullError
from proxy.model.batch import BatchLine, BatchState
from tests.unit.live.batches.folder import CHAT, ME, lines, new_batch, opened, result, running


def test_a_line_has_one_result_and_the_counters_are_true(tmp_path: Path) -> None:
    store = opened(tmp_path)
    batch = running(store)
    assert store.batches.put(batch.number, [result(1), result(2, is_good=False), result(1)]) == 2
    assert store.batches.put(batch.number, [result(2), result(3, b"{1}")]) == 1
    found = store.batches.get(batch.number)
    assert (found.done, found.failed, found.left) == (2, 1, 2)
    assert (found.prompt_tokens, found.completion_tokens) == (3, 6)
    assert store.batches.results(batch.number, 0, good=True) == [(1, b"{}"), (3, b"{1}")]
    assert store.batches.results(batch.number, 1, good=True) == [(3, b"{1}")]
    assert [one.line for one in store.batches.waiting(batch.number, (b"", 0), 9)] == [4, 5]
    store.close()


def test_what_has_no_room_is_not_half_there(tmp_path: Path) -> None:
    store = opened(tmp_path, size=2000)
    batch = running(store)
    used_b = store.files.used_b
    with pytest.raises(StoreFullError):
        store.batches.put(batch.number, [result(1), result(2, b"x" * 2000)])
    assert store.files.used_b == used_b
    assert store.batches.get(batch.number).done == 0
    store.close()


def test_lines_come_in_the_order_of_their_heads_and_in_pieces(tmp_path: Path) -> None:
    store = opened(tmp_path)
    batch = new_batch(store, b"")
    heads = [b"b", b"a", b"b", b"", b"a"]
    store.batches.add_lines(batch.number, [BatchLine(head, n, n, 1, f"c{n}") for n, head in enumerate(heads, 1)])
    found: list[BatchLine] = []
    while more := store.batches.waiting(batch.number, (found[-1].head, found[-1].line) if found else (b"", 0), 2):
        found += more
    assert [one.line for one in found] == [4, 2, 5, 1, 3]
    store.close()


def test_states_follow_the_table_and_their_times_are_kept(tmp_path: Path) -> None:
    store = opened(tmp_path)
    batch = running(store)
    assert store.batches.move(batch.number, BatchState.COMPLETED, 5.0) is None
    moved = store.batches.move(batch.number, BatchState.CANCELLING, 6.9)
    assert moved is not None
    assert moved.marks == {"in_progress": 1, "cancelling": 6}
    assert store.batches.states() == {"cancelling": 1}
    store.close()


def test_whose_they_are_and_which_have_not_ended(tmp_path: Path) -> None:
    store = opened(tmp_path)
    one, two = new_batch(store, lines(1)), new_batch(store, lines(1))
    assert store.batches.find(b"you", one.id) is None
    assert [found.id for found in store.batches.page(b"me", "", 9) or ()] == [two.id, one.id]
    assert [found.id for found in store.batches.page(b"me", two.id, 9) or ()] == [one.id]
    assert store.batches.page(b"me", "batch_none", 9) is None
    assert store.batches.page(b"you", "", 9) == []
    store.batches.refused(two.number, [], 2.0)
    assert [found.id for found in store.batches.unfinished()] == [one.id]
    assert store.batches.unfinished_of(b"me") == 1
    store.batches.sweep(1e9, 1.0)
    assert [found.id for found in store.batches.page(b"me", "", 9) or ()] == [one.id], "the other one is old and over"
    assert store.batches.find(ME.whose, one.id) == one
    assert one.endpoint == CHAT
    store.close()


def test_what_has_ended_leaves_no_rows(tmp_path: Path) -> None:
    store = opened(tmp_path)
    batch = running(store)
    store.batches.put(batch.number, [result(n) for n in range(1, 6)])
    used_b = store.files.used_b
    store.batches.move(batch.number, BatchState.CANCELLING, 2.0)
    assert store.batches.leftovers() == []
    store.batches.move(batch.number, BatchState.CANCELLED, 2.0)
    assert store.batches.leftovers() == [batch.number]
    while store.batches.clear(batch.number):
        pass
    assert store.batches.leftovers() == []
    assert used_b - store.files.used_b == 10
    store.close()
