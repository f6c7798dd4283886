"""The store as the loop sees it: one thread that has the folder, and what is asked of it, one after the other.

Owns that thread and how much may wait for it. Nothing of SQLite or of the disk runs anywhere else.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from proxy.live.batches.batches import Batches
from proxy.live.batches.database import Database, StoreFullError
from proxy.live.batches.files import Files, Upload
from proxy.model.batch import Batch, Owner, StoredFile
from proxy.model.faults import Fault, FaultError, Kind, internal
from proxy.model.store import StoreSettings
from proxy.wire.body import invalid

MOST_WAITING: Final = 256
"""Requests of clients that wait for the thread; more are refused."""
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Store:
    """What is in one folder. StoreError where it cannot be used."""

    def __init__(self, settings: StoreSettings, folder: Path) -> None:
        self.settings = settings
        self.database = Database(folder)
        self.files = Files(self.database, settings.size)
        self.batches = Batches(self.database, self.files)

    def close(self) -> None:
        """Give the folder to others."""
        self.database.close()

    def begin_upload(self, whose: bytes, announced_b: int) -> Upload:
        """A file of a client. FaultError where he has too many; StoreFullError where there is no room for it."""
        if self.files.count_of(whose) >= self.settings.files:
            most = self.settings.files
            raise invalid(f"There are {most} files already (store.files); delete some.", code="too_many_files")
        if self.files.used_b + max(0, announced_b) > self.settings.size:
            raise StoreFullError("The disk budget of the store (store.size) is spent.")
        return self.files.begin()

    def create_batch(
        self,
        owner: Owner,
        endpoint: str,
        input_file: str,
        window: tuple[str, int],
        metadata: dict[str, str] | None,
        now: float,
        output_expires_s: int | None,
    ) -> Batch:
        """A new batch. FaultError where its file is none for it, or there are too many. `window`: as it was written,
        and in seconds."""
        found = self.files.find(owner.whose, input_file)
        if found is None:
            raise invalid(f"There is no file {input_file[:64]!r}.", "input_file_id", "input_file_not_found")
        if found.purpose != "batch":
            raise invalid(f"The file's purpose is {found.purpose}, not batch.", "input_file_id", "invalid_purpose")
        if self.batches.unfinished_of(owner.whose) >= self.settings.batches:
            text = f"There are {self.settings.batches} batches that have not ended (store.batches)."
            raise invalid(text, code="too_many_batches")
        created = int(now)
        written, window_s = window
        return self.batches.create(
            owner, endpoint, input_file, written, metadata, created, created + window_s, output_expires_s
        )

    def open_file(self, whose: bytes, name: str) -> tuple[int, StoredFile] | None:
        """A descriptor to read from, the caller's to close."""
        return self.files.open(whose, name)


class StoreThread:
    """One per proxy."""

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self.store = store
        self._loop = loop
        self._pool = ThreadPoolExecutor(1, "tidegate-store")
        self._waiting = 0

    async def ask(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """For a client. FaultError where too many wait, or where there is no room."""
        if self._waiting >= MOST_WAITING:
            raise FaultError(internal(Kind.QUEUE_FULL, "Too many wait for the store; please try again.", 1.0))
        self._waiting += 1
        try:
            return await self.run(work, *args, **kwargs)
        except StoreFullError as error:
            raise FaultError(full(error)) from error
        finally:
            self._waiting -= 1

    async def run(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """For ourselves. Whoever is cancelled leaves at once; what was begun is done to its end."""
        return await self._loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))

    def later(self, work: Callable[[], object]) -> None:
        """Some time, whatever becomes of it."""
        self._pool.submit(work)

    def close(self) -> None:
        """What was asked is done, then the folder is given to others."""
        self._pool.submit(self.store.close)
        self._pool.shutdown(wait=True)


def full(error: StoreFullError) -> Fault:
    """What a client is told."""
    return internal(Kind.STORAGE, f"{error} Delete files that are not needed, or ask the operator.")
