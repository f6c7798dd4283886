"""The folder of the store: one proxy at a time, versions, and changes that are whole or none."""

import sqlite3
from pathlib import Path

import pytest

from proxy.live.batches.database import VERSION, Database, StoreError, StoreFullError


def test_one_at_a_time_and_who_has_it_is_named(tmp_path: Path) -> None:
    first = Database(tmp_path / "a" / "b")
    with pytest.raises(StoreError, match=r"Another proxy \(process \d+\)"):
        Database(tmp_path / "a" / "b")
    first.close()
    Database(tmp_path / "a" / "b").close()


def test_a_newer_one_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    Database(tmp_path).close()
    file = tmp_path / "store.sqlite3"
    with sqlite3.connect(file) as sql:
        sql.execute(f"PRAGMA user_version={VERSION + 1}")
    sql.close()
    before = file.read_bytes()
    with pytest.raises(StoreError, match="newer Tidegate"):
        Database(tmp_path)
    assert file.read_bytes() == before


def test_what_is_not_ours_is_refused(tmp_path: Path) -> None:
    sql = sqlite3.connect(tmp_path / "store.sqlite3")
    sql.execute("PRAGMA application_id=7")
    sql.close()
    with pytest.raises(StoreError, match="another program"):
        Database(tmp_path)
    (tmp_path / "store.sqlite3").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="Cannot use"):
        Database(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="Cannot use the folder"):
        Database(tmp_path / "file")


def test_nothing_stays_of_a_change_that_failed(tmp_path: Path) -> None:
    database = Database(tmp_path)
    insert = "INSERT INTO results VALUES(1, 1, 1, x'')"
    with pytest.raises(ZeroDivisionError), database.transaction() as sql:
        sql.execute(insert)
        _ = 1 // 0
    assert database.sql.execute("SELECT count(*) FROM results").fetchone() == (0,)
    with database.transaction(lasting=True) as sql:
        sql.execute(insert)
        assert sql.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    assert database.sql.execute("SELECT count(*) FROM results").fetchone() == (1,)
    database.close()


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    database = Database(tmp_path)
    database.sql.execute(f"PRAGMA max_page_count={database.sql.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(StoreFullError), database.transaction() as sql:
        sql.execute("INSERT INTO results VALUES(1, 1, 1, zeroblob(1000000))")
    assert database.sql.execute("SELECT count(*) FROM results").fetchone() == (0,)
    database.close()
