"""Files of the store: whose they are, what room they have, and that those that were broken off leave nothing."""

import os
from pathlib import Path

import pytest

from proxy.live.batches.database import StoreFullError
from proxy.live.batches.files import InUseError
from tests.unit.live.batches.folder import file_of, lines, new_batch, opened, running


def test_a_file_is_its_owners_alone(tmp_path: Path) -> None:
    store = opened(tmp_path)
    one = file_of(store, b"abc")
    assert store.files.find(b"me", one.id) == one
    assert store.files.find(b"you", one.id) is None
    assert store.open_file(b"you", one.id) is None
    assert not store.files.delete(b"you", one.id)
    opened_file = store.open_file(b"me", one.id)
    assert opened_file is not None
    assert store.files.delete(b"me", one.id)
    assert os.read(opened_file[0], 9) == b"abc", "who reads is not cut off"
    os.close(opened_file[0])
    assert (store.files.used_b, store.files.count) == (0, 0)
    gone = file_of(store, b"abc")
    (tmp_path / "files" / gone.id).unlink()
    assert store.open_file(b"me", gone.id) is None
    assert store.files.delete(b"me", gone.id)
    store.close()


def test_pages(tmp_path: Path) -> None:
    store = opened(tmp_path)
    made = [file_of(store, b"x", "batch" if n % 2 else "batch_output").id for n in range(6)]
    file_of(store, b"x", whose=b"you")

    def page(after: str, count: int, purpose: str = "", *, newest: bool = True) -> list[str] | None:
        found = store.files.page(b"me", after, count, purpose, newest=newest)
        return None if found is None else [one.id for one in found]

    assert page("", 9) == made[::-1]
    assert page(made[3], 2) == [made[2], made[1]]
    assert page(made[3], 9, newest=False) == made[4:]
    assert page("", 9, "batch", newest=False) == made[1::2]
    assert page("file-none", 9) is None
    store.close()


def test_there_is_no_more_than_its_budget(tmp_path: Path) -> None:
    store = opened(tmp_path, size=10)
    upload = store.files.begin()
    store.files.write(upload, b"1234567")
    with pytest.raises(StoreFullError, match=r"store\.size"):
        store.files.write(upload, b"8901")
    store.files.drop(upload)
    store.files.drop(upload)
    assert store.files.used_b == 0
    assert not list((tmp_path / "uploads").iterdir())
    store.close()


def test_what_was_broken_off_is_gone_after_a_restart(tmp_path: Path) -> None:
    store = opened(tmp_path)
    kept = file_of(store, b"abc")
    store.files.write(store.files.begin(), b"cut")
    unknown = store.files.begin()
    store.files.keep(unknown)
    store.close()
    store = opened(tmp_path)
    assert [path.name for path in (tmp_path / "files").iterdir()] == [kept.id]
    assert not list((tmp_path / "uploads").iterdir())
    assert (store.files.used_b, store.files.count) == (3, 1)
    store.close()


def test_what_a_batch_runs_on_stays(tmp_path: Path) -> None:
    store = opened(tmp_path)
    batch = running(store)
    with pytest.raises(InUseError, match=batch.id):
        store.files.delete(b"me", batch.input_file)
    assert store.files.sweep(1e12, 1.0) == 0
    assert store.files.find(b"me", batch.input_file) is not None
    store.close()


def test_what_is_old_is_removed(tmp_path: Path) -> None:
    store = opened(tmp_path)
    old, young = file_of(store, b"x", created=5), file_of(store, b"x", created=100)
    new_batch(store, lines(1))
    assert store.files.sweep(110.0, 50.0) == 1
    assert store.files.find(b"me", old.id) is None
    assert store.files.find(b"me", young.id) is not None
    store.close()
