"""The file in which the counts of service level objectives outlive the process: SQLite, of one version.

Owns what is in it and who may write there: each process adds what it counted, so that several may share it. A place of
the file is a place of a ring (`obs.slo.buckets`): it is written over when its time comes round, so that the file does
not grow and no clock that jumped can empty it.
"""

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from proxy.model.slos import MAX_WINDOW_S
from proxy.obs.slo.book import PLACES, Row

APPLICATION: Final = 0x54646753
"""`TdgS`, in the head of the file: it is ours."""
VERSION: Final = 1
_BUSY_S: Final = 5.0
"""So long another process may be writing."""
_SCHEMA: Final = f"""
    CREATE TABLE slo (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, seen REAL NOT NULL);
    CREATE TABLE bucket (
        slo INTEGER NOT NULL REFERENCES slo (id),
        width INTEGER NOT NULL, place INTEGER NOT NULL, number INTEGER NOT NULL,
        good INTEGER NOT NULL, total INTEGER NOT NULL,
        PRIMARY KEY (slo, width, place)
    ) WITHOUT ROWID;
    PRAGMA application_id = {APPLICATION};
    PRAGMA user_version = {VERSION};
"""
_ADD: Final = """
    INSERT INTO bucket (slo, width, place, number, good, total)
    VALUES ((SELECT id FROM slo WHERE key = ?), ?, ?, ?, ?, ?)
    ON CONFLICT (slo, width, place) DO UPDATE SET
        good = excluded.good + CASE WHEN number = excluded.number THEN good ELSE 0 END,
        total = excluded.total + CASE WHEN number = excluded.number THEN total ELSE 0 END,
        number = excluded.number
"""


class UnusableError(Exception):
    """Why nothing is read or written there; the message is the end of a sentence about the file."""


def exchange(path: Path, keys: Sequence[str], rows: Sequence[Row], since: float, now: float) -> list[Row]:
    """Add `rows`, all of them or none, and read what is there of `keys` of buckets that ended after `since` (seconds).
    What no process has counted for a quarter goes. Blocks for seconds where the disk does. Raises UnusableError."""
    try:
        with contextlib.closing(_opened(path)) as database, _transaction(database):
            _check(database)
            _see(database, {*keys, *(row[0] for row in rows)}, now)
            database.executemany(_ADD, [_place(row) for row in rows])
            return _rows(database, keys, since)
    except (sqlite3.Error, OSError, ValueError, OverflowError) as error:
        raise UnusableError(_reason(error)) from None


def _opened(path: Path) -> sqlite3.Connection:
    """Made by us, so that nobody but the owner may read it, and never waiting for the writer of a pipe."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    if not stat.S_ISREG(path.stat().st_mode):
        raise UnusableError("it is not a file")
    address = f"file:{quote(str(path.absolute()))}?mode=rw"
    return sqlite3.connect(address, timeout=_BUSY_S, isolation_level=None, uri=True)


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:  # whatever it was, nothing of it stays; it goes on its way
        with contextlib.suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


def _check(database: sqlite3.Connection) -> None:
    """That it is ours and of this version; an empty one becomes that."""
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not application and not version and not tables:
        for statement in filter(str.strip, _SCHEMA.split(";")):
            database.execute(statement)
    elif application != APPLICATION:
        raise UnusableError("it is a database of somebody else, and is left alone")
    elif version != VERSION:
        raise UnusableError(f"it was written by {'a newer' if version > VERSION else 'another'} version of Tidegate")


def _see(database: sqlite3.Connection, keys: set[str], now: float) -> None:
    """These are in use. Of those that have not been for so long that no window reaches back nothing stays."""
    seen = "INSERT INTO slo (key, seen) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET seen = excluded.seen"
    database.executemany(seen, [(key, now) for key in keys])
    old = database.execute("SELECT id FROM slo WHERE seen < ?", (now - MAX_WINDOW_S,)).fetchall()
    database.executemany("DELETE FROM bucket WHERE slo = ?", old)
    database.executemany("DELETE FROM slo WHERE id = ?", old)


def _place(row: Row) -> tuple[str, int, int, int, int, int]:
    key, width_s, number, good, total = row
    return key, width_s, number % PLACES[width_s], number, good, total


def _rows(database: sqlite3.Connection, keys: Sequence[str], since: float) -> list[Row]:
    wanted = (
        "SELECT key, width, number, good, total FROM bucket JOIN slo ON slo.id = bucket.slo"
        " WHERE (number + 1) * width > ?"
    )
    return [row for row in database.execute(wanted, (since,)) if row[0] in keys]


def _reason(error: Exception) -> str:
    if isinstance(error, sqlite3.NotSupportedError | sqlite3.DatabaseError):
        return str(error).lower() or "the database does not work"
    return ((isinstance(error, OSError) and error.strerror) or "not a usable path").lower()
