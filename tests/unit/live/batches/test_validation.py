"""From a file to lines, in pieces: where each stands, and what refuses the batch."""

import os
from pathlib import Path

import pytest

from proxy.live.batches import validation
from proxy.live.batches.closing import read_lines
from proxy.model.batch import BatchState
from tests.unit.live.batches.folder import lines, new_batch, opened, validated


@pytest.mark.parametrize("piece_b", [1, 7, 100, 1 << 20])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n\n"])
def test_every_line_is_found_where_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_b: int, end: bytes
) -> None:
    monkeypatch.setattr(validation, "_PIECE_B", piece_b)
    store = opened(tmp_path)
    data = lines(3).replace(b"\n", b"\n\n", 1)[:-1] + end
    batch = validated(store, new_batch(store, data))
    assert (batch.state, batch.total, batch.model) == (BatchState.IN_PROGRESS, 3, "m")
    found = store.batches.waiting(batch.number, (b"", 0), 9)
    assert [one.line for one in found] == [1, 3, 4]
    opened_file = store.open_file(b"me", batch.input_file)
    assert opened_file is not None
    texts = read_lines(opened_file[0], found, 1 << 20)
    assert [text.strip() for text in texts] == lines(3).strip().split(b"\n")
    assert len(read_lines(opened_file[0], found, 1)) == 1, "one at least"
    os.close(opened_file[0])
    store.close()


@pytest.mark.parametrize("piece_b", [64, 1 << 20])
def test_a_line_that_is_too_long_is_told_by_its_number_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece_b: int
) -> None:
    monkeypatch.setattr(validation, "_PIECE_B", piece_b)
    store = opened(tmp_path, line=200)
    batch = validated(store, new_batch(store, lines(1) + b"x" * 5000 + b"\n{\n"))
    assert [(one.code, one.line) for one in batch.errors] == [("line_too_long", 2), ("invalid_json_line", 3)]
    assert batch.state is BatchState.FAILED
    assert store.batches.waiting(batch.number, (b"", 0), 9) == []
    store.close()


def test_a_hundred_mistakes_are_enough(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert len(validated(store, new_batch(store, b"{\n" * 10_000)).errors) == 100
    store.close()


def test_one_that_was_broken_off_begins_anew(tmp_path: Path) -> None:
    store = opened(tmp_path)
    batch = new_batch(store, lines(4))
    first = validation.Validation(store, batch)
    first.step()
    first.close()
    assert validated(store, batch).total == 4
    store.close()


def test_a_file_that_was_taken_off_the_disk_refuses_the_batch(tmp_path: Path) -> None:
    store = opened(tmp_path)
    batch = new_batch(store, lines(1))
    store.database.sql.execute("DELETE FROM files WHERE id=?", (batch.input_file,))
    assert [one.code for one in validated(store, batch).errors] == ["file_not_found"]
    store.close()
