"""Files of the store: written as they come, found by whose they are, removed when their time is over.

Owns what is on the disk below `files/` and how much of it there is. Blocks: only the thread of the store calls it.
"""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from proxy.live.batches.database import Database, StoreFullError, checked, sync_folder
from proxy.model.batch import ENDED, StoredFile

PIECE_B: Final = 256 * 1024
"""Read and written at once."""
_COLUMNS: Final = "id, purpose, name, size_b, created, expires"
_IDLE: Final = ", ".join(f"'{state.value}'" for state in sorted(ENDED))


class Upload:
    """A file on its way in."""

    __slots__ = ("descriptor", "id", "size_b")

    def __init__(self, name: str, descriptor: int) -> None:
        self.id = name
        self.descriptor = descriptor
        self.size_b = 0


class InUseError(Exception):
    """The file is the input of a batch that has not ended; its text is the id of that batch."""


class Files:
    """All files of one store. `size_b`: what they and results may have together."""

    def __init__(self, database: Database, size_b: int) -> None:
        self._database = database
        self.size_b = size_b
        self.used_b = self._sum("SELECT sum(size_b) FROM files") + self._sum("SELECT sum(length(record)) FROM results")
        """Bytes of files, uploads and results."""
        self.count = self._sum("SELECT count(*) FROM files")
        self._remove_unknown()

    def reserve(self, size_b: int) -> None:
        """Room for so many bytes. StoreFullError where there is none."""
        if self.used_b + size_b > self.size_b:
            raise StoreFullError("The disk budget of the store (store.size) is spent.")
        self.used_b += size_b

    # --- in

    def begin(self) -> Upload:
        """A new file, which nobody sees yet."""
        name = f"file-{secrets.token_hex(12)}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return Upload(name, os.open(self._database.uploads / name, flags, 0o600))
        except OSError as error:
            raise checked(error) from error

    def write(self, upload: Upload, data: bytes) -> None:
        """More of it. StoreFullError where there is no room."""
        self.reserve(len(data))
        upload.size_b += len(data)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(upload.descriptor, view) :]
        except OSError as error:
            raise checked(error) from error

    def keep(self, upload: Upload, name: str = "") -> str:
        """On the disk for good, though not yet known: to be `add`ed in the transaction that tells of it. Its id."""
        name = name or upload.id
        try:
            os.fsync(upload.descriptor)
            (self._database.uploads / upload.id).rename(self._database.files / name)
            sync_folder(self._database.files)
        except OSError as error:
            raise checked(error) from error
        os.close(upload.descriptor)
        upload.descriptor = -1
        return name

    def add(self, sql: sqlite3.Connection, whose: bytes, one: StoredFile) -> None:
        """Known from now on."""
        values = (one.id, whose, one.purpose, one.name, one.size_b, one.created, one.expires)
        sql.execute(
            "INSERT INTO files(id, whose, purpose, name, size_b, created, expires) VALUES(?,?,?,?,?,?,?)", values
        )

    def finish(self, upload: Upload, whose: bytes, one: StoredFile) -> StoredFile:
        """A file of a client, complete: it lasts, and is known."""
        self.keep(upload)
        try:
            with self._database.transaction(lasting=True) as sql:
                self.add(sql, whose, one)
        except BaseException:  # whatever it was, nobody knows this file
            self.used_b -= upload.size_b
            (self._database.files / upload.id).unlink()
            raise
        self.count += 1
        return one

    def drop(self, upload: Upload) -> None:
        """It was cut, or is not wanted; harmless for one that is kept."""
        if upload.descriptor < 0:
            return
        os.close(upload.descriptor)
        upload.descriptor = -1
        self.used_b -= upload.size_b
        with suppress(OSError):
            (self._database.uploads / upload.id).unlink()

    # --- what there is

    def find(self, whose: bytes, name: str) -> StoredFile | None:
        """None: there is none of this id for whoever asks."""
        row = self._database.sql.execute(
            f"SELECT {_COLUMNS} FROM files WHERE id=? AND whose=?",  # noqa: S608 - columns of ours
            (name, whose),
        ).fetchone()
        return None if row is None else StoredFile(*row)

    def page(self, whose: bytes, after: str, count: int, purpose: str, *, newest: bool) -> list[StoredFile] | None:
        """So many of his, behind the one called `after` (empty: from the first). None: there is no such one."""
        start = self._number(whose, after)
        if start is None:
            return None
        beyond, order = ("<", "DESC") if newest else (">", "ASC")
        where = f"whose=? AND (?='' OR number{beyond}?) AND (?='' OR purpose=?)"
        rows = self._database.sql.execute(
            f"SELECT {_COLUMNS} FROM files WHERE {where} ORDER BY number {order} LIMIT ?",  # noqa: S608
            (whose, after, start, purpose, purpose, count),
        )
        return [StoredFile(*row) for row in rows]

    def count_of(self, whose: bytes) -> int:
        """How many are his."""
        return int(self._database.sql.execute("SELECT count(*) FROM files WHERE whose=?", (whose,)).fetchone()[0])

    def open(self, whose: bytes, name: str) -> tuple[int, StoredFile] | None:
        """A descriptor to read from, the caller's to close: who deletes the file meanwhile cuts nobody off."""
        one = self.find(whose, name)
        if one is None:
            return None
        try:
            return os.open(self._database.files / name, os.O_RDONLY | os.O_CLOEXEC), one
        except FileNotFoundError:  # taken off the disk, or not in the copy that this store was made of
            return None

    # --- out

    def delete(self, whose: bytes, name: str) -> bool:
        """Whether there was one. InUseError for the input of a batch that has not ended."""
        one = self.find(whose, name)
        if one is None:
            return False
        self._remove([one])
        return True

    def sweep(self, now: float, keep_s: float) -> int:
        """Remove those whose time is over; how many."""
        rows = self._database.sql.execute(
            f"SELECT {_COLUMNS} FROM files WHERE (expires<=? OR created<=?)"  # noqa: S608
            f" AND id NOT IN (SELECT input_file FROM batches WHERE state NOT IN ({_IDLE})) LIMIT 64",
            (now, now - keep_s),
        ).fetchall()
        self._remove([StoredFile(*row) for row in rows])
        return len(rows)

    def _remove(self, those: list[StoredFile]) -> None:
        with self._database.transaction(lasting=True) as sql:
            for one in those:
                user = sql.execute(
                    f"SELECT id FROM batches WHERE input_file=? AND state NOT IN ({_IDLE})",  # noqa: S608
                    (one.id,),
                ).fetchone()
                if user is not None:
                    raise InUseError(user[0])
                sql.execute("DELETE FROM files WHERE id=?", (one.id,))
        for one in those:
            self.used_b -= one.size_b
            self.count -= 1
            with suppress(FileNotFoundError):
                (self._database.files / one.id).unlink()

    def _number(self, whose: bytes, name: str) -> int | None:
        if not name:
            return 0
        row = self._database.sql.execute("SELECT number FROM files WHERE id=? AND whose=?", (name, whose)).fetchone()
        return None if row is None else int(row[0])

    def _sum(self, query: str) -> int:
        return int(self._database.sql.execute(query).fetchone()[0] or 0)

    def _remove_unknown(self) -> None:
        """What was put in place, and the process ended before it was known."""
        known = {row[0] for row in self._database.sql.execute("SELECT id FROM files")}
        for name in self._unknown(known):
            with suppress(OSError):
                (self._database.files / name).unlink()

    def _unknown(self, known: set[str]) -> Iterator[str]:
        return (entry.name for entry in os.scandir(self._database.files) if entry.name not in known)
