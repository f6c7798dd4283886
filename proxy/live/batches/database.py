"""The folder of the store: its lock, its database and the versions of its schema.

    PATH/lock            held as long as a proxy runs on it
    PATH/store.sqlite3   files, batches, lines and results (WAL)
    PATH/files/          what clients uploaded, and output files
    PATH/uploads/        what is being written; emptied at the start

Every change is one transaction. What a client was told of lasts through a loss of power (`lasting=True`: synchronous
FULL); a result that is lost so is made again, since nobody has seen it. Blocks: only the thread of the store calls it.
"""

import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

APPLICATION: Final = 0x54444754
"""`TDGT`: marks the database as ours."""
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_MIGRATIONS: Final = (
    """
    CREATE TABLE files(
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, whose BLOB NOT NULL,
        purpose TEXT NOT NULL, name TEXT NOT NULL, size_b INTEGER NOT NULL, created INTEGER NOT NULL, expires INTEGER);
    CREATE INDEX files_whose ON files(whose, number);
    CREATE TABLE batches(
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, whose BLOB NOT NULL, tenant TEXT NOT NULL,
        is_named INTEGER NOT NULL, endpoint TEXT NOT NULL, model TEXT NOT NULL DEFAULT '', input_file TEXT NOT NULL,
        "window" TEXT NOT NULL, created INTEGER NOT NULL, expires INTEGER NOT NULL, state TEXT NOT NULL,
        metadata TEXT, marks TEXT NOT NULL, errors TEXT NOT NULL, output_file TEXT NOT NULL DEFAULT '',
        error_file TEXT NOT NULL DEFAULT '', output_expires_s INTEGER, total INTEGER NOT NULL DEFAULT 0,
        done INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, prompt_tokens INTEGER NOT NULL DEFAULT 0,
        cached_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0);
    CREATE INDEX batches_whose ON batches(whose, number);
    CREATE INDEX batches_state ON batches(state);
    CREATE TABLE lines(
        batch INTEGER NOT NULL, head BLOB NOT NULL, line INTEGER NOT NULL, start_b INTEGER NOT NULL,
        size_b INTEGER NOT NULL, custom_id TEXT NOT NULL, PRIMARY KEY(batch, head, line)) WITHOUT ROWID;
    CREATE TABLE results(
        batch INTEGER NOT NULL, line INTEGER NOT NULL, is_good INTEGER NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY(batch, line));
    """,
)
"""From each version to the next; the first makes an empty database one of version 1."""
VERSION: Final = len(_MIGRATIONS)


class StoreError(Exception):
    """The folder cannot be used; its text says why, and what to do."""


class StoreFullError(Exception):
    """There is no room: on the disk, or within the budget."""


class Database:
    """One per store. StoreError where it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files, self.uploads = folder / "files", folder / "uploads"
        try:
            for one in (folder, self.files):
                one.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = self._locked(folder / "lock")
        except OSError as error:
            raise StoreError(f"Cannot use the folder {folder} of `store`: {error.strerror}.") from error
        try:
            shutil.rmtree(self.uploads, ignore_errors=True)
            self.uploads.mkdir(mode=0o700)
            self.sql = self._opened(folder / "store.sqlite3")
        except (OSError, sqlite3.Error) as error:
            os.close(self._lock)
            raise StoreError(f"Cannot use the store in {folder}: {error}.") from error
        except StoreError:
            os.close(self._lock)
            raise

    def close(self) -> None:
        """Give the folder to others."""
        self.sql.close()
        os.close(self._lock)

    @contextmanager
    def transaction(self, *, lasting: bool = False) -> Iterator[sqlite3.Connection]:
        """All or nothing. StoreFullError where the disk is full."""
        try:
            self.sql.execute(f"PRAGMA synchronous={'FULL' if lasting else 'NORMAL'}")
            self.sql.execute("BEGIN IMMEDIATE")
            try:
                yield self.sql
                self.sql.execute("COMMIT")
            except BaseException:  # whatever it was, nothing of it stays
                if self.sql.in_transaction:
                    self.sql.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
                raise StoreFullError("The disk of the store is full.") from error
            raise

    def _locked(self, path: Path) -> int:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip() or "?"
            os.close(descriptor)
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            text = f"Another proxy (process {holder}) runs on the store in {self.folder}."
            raise StoreError(f"{text} Each needs a folder of its own, or `store: {{url: …}}` of the other.") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        return descriptor

    def _opened(self, path: Path) -> sqlite3.Connection:
        sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            sql.execute("PRAGMA journal_mode=WAL")
            sql.execute("PRAGMA cache_size=-8192")
            self._migrate(sql)
        except BaseException:  # it is not ours, or newer: nothing of it is kept open
            sql.close()
            raise
        return sql

    def _migrate(self, sql: sqlite3.Connection) -> None:
        (version,), (application,) = (
            sql.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "application_id")
        )
        if application not in (0, APPLICATION) or (version and not application):
            raise StoreError(f"{self.folder}/store.sqlite3 is the database of another program.")
        if version > VERSION:
            text = f"The store in {self.folder} was written by a newer Tidegate (version {version}, known: {VERSION})."
            raise StoreError(f"{text} Nothing was changed: start that one, or name another folder.")
        for number in range(version, VERSION):
            script = f"{_MIGRATIONS[number]} PRAGMA user_version={number + 1}; PRAGMA application_id={APPLICATION};"
            sql.executescript(f"PRAGMA synchronous=FULL; BEGIN IMMEDIATE; {script} COMMIT;")


def checked(error: OSError) -> Exception:
    """What to raise for a failed write."""
    return StoreFullError("The disk of the store is full.") if error.errno in _FULL else error


def sync_folder(folder: Path) -> None:
    """A renamed file is found by its new name after a loss of power, too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
