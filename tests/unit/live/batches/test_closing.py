"""From results to files: in the order of the input, none before all is there, and again after it was broken off."""

from pathlib import Path

import pytest

from proxy.live.batches.closing import Closing, line_name
from proxy.live.batches.store import Store
from proxy.model.batch import Batch, BatchState
from tests.unit.live.batches.folder import opened, result, running


def closed(store: Store, batch: Batch, after: BatchState) -> Batch:
    closing = Closing(store, batch, after)
    while closing.step():
        pass
    ended = closing.finish(9.0)
    assert ended is not None
    return ended


def text(store: Store, name: str) -> bytes:
    return (store.database.files / name).read_bytes()


def test_good_and_bad_ones_in_the_order_of_the_input(tmp_path: Path) -> None:
    store = opened(tmp_path)
    batch = running(store, 600)
    results = [result(n, b"%d" % n, is_good=n % 3 > 0) for n in range(600, 0, -1)]
    store.batches.put(batch.number, results)
    moved = store.batches.move(batch.number, BatchState.FINALIZING, 2.0)
    assert moved is not None
    ended = closed(store, moved, BatchState.COMPLETED)
    assert ended.state is BatchState.COMPLETED
    assert text(store, ended.output_file).split() == [b"%d" % n for n in range(1, 601) if n % 3]
    assert text(store, ended.error_file).split() == [b"%d" % n for n in range(3, 601, 3)]
    file = store.files.find(b"me", ended.output_file)
    assert file is not None
    assert (file.purpose, file.size_b) == ("batch_output", len(text(store, ended.output_file)))
    store.close()


def test_what_never_ran_has_expired_and_after_a_cancellation_is_in_no_file(tmp_path: Path) -> None:
    store = opened(tmp_path)
    late, cancelled = running(store), running(store)
    for batch, by, after in (
        (late, BatchState.FINALIZING, BatchState.EXPIRED),
        (cancelled, BatchState.CANCELLING, BatchState.CANCELLED),
    ):
        store.batches.put(batch.number, [result(2)])
        moved = store.batches.move(batch.number, by, 2.0)
        assert moved is not None
        ended = closed(store, moved, after)
        assert ended.state is after
        assert text(store, ended.output_file) == b"{}\n"
        if after is BatchState.EXPIRED:
            assert text(store, ended.error_file).count(b"batch_expired") == 4
            assert (ended.done, ended.failed) == (1, 4)
        else:
            assert (ended.error_file, ended.done, ended.failed) == ("", 1, 0)
    store.close()


def test_one_that_was_broken_off_leaves_nothing_and_begins_anew(tmp_path: Path) -> None:
    store = opened(tmp_path)
    batch = running(store, 1)
    store.batches.put(batch.number, [result(1)])
    moved = store.batches.move(batch.number, BatchState.FINALIZING, 2.0)
    assert moved is not None
    first = Closing(store, moved, BatchState.COMPLETED)
    first.step()
    used_b = store.files.used_b
    first.drop()
    assert store.files.used_b == used_b - 3
    assert closed(store, moved, BatchState.COMPLETED).done == 1
    with pytest.raises(RuntimeError, match="cannot follow"):
        closed(store, moved, BatchState.COMPLETED)
    store.close()


def test_a_line_is_called_the_same_each_time() -> None:
    assert line_name("batch_ab", 7) == "batch_req_ab_7"
