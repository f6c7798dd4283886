"""The file in which what was learned outlives the process: read at the start, written every minute and at the drain.

Owns the bytes: what a file must be to be read or written over, and that it is whole at any moment (written beside,
flushed to the disk, then renamed). What is in it is `core.memento`'s and
`owners_section`'s. A file that is not one of ours is never touched.
"""

import asyncio
import contextlib
import logging
import os
import stat
import threading
from pathlib import Path
from typing import Any, Final

import orjson

from proxy.app.owners_section import SECTION, OwnersSection, Taken
from proxy.core.memento import FORM, VERSION, Memento

WRITE_EVERY_S: Final = 60.0
MAX_B: Final = 16 << 20
"""A thousand backends and all answer lengths are less than 2 MB."""
_LAST_WRITE_S: Final = 3.0
"""A disk that hangs keeps the end of the process waiting no longer."""
_BEGINS: Final = f'{{"{FORM}":'.encode()
_log = logging.getLogger("tidegate.state")


class UnusableError(Exception):
    """Why it is not read; the message is the end of a sentence about the file."""


class ForeignError(UnusableError):
    """It is somebody else's: not to be written over either."""


def read(path: Path) -> dict[str, Any] | None:
    """What is in it; None when there is none yet. UnusableError for anything else than a whole one of this version."""
    data = _bytes_of(path)
    if data is None:
        return None
    if not data.strip():
        raise UnusableError("it is empty")
    if not data.startswith(_BEGINS):
        raise ForeignError("it is not a state file of Tidegate")
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise UnusableError("it is damaged: not whole JSON") from None
    version = document[FORM]
    if version != VERSION or isinstance(version, bool):
        raise UnusableError("it was written by another version of Tidegate")
    return dict(document)


def write(path: Path, document: dict[str, Any]) -> None:
    """All or nothing; nobody but the owner may read it. OSError when it cannot be written."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(orjson.dumps(document))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:  # whatever ended it, half a file is nobody's; it goes on its way
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    _flush_name(path.parent)


def _flush_name(directory: Path) -> None:
    """The renaming too is on the disk; where directories cannot be flushed it comes there in its own time."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _bytes_of(path: Path) -> bytes | None:
    """Never waits: neither for the writer of a pipe nor for a device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UnusableError(_reason(error)) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ForeignError("it is not a file")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(MAX_B + 1)
    if len(data) > MAX_B:
        raise ForeignError(f"it is larger than {MAX_B >> 20} MiB")
    return data


def _reason(error: OSError | ValueError) -> str:
    return ((isinstance(error, OSError) and error.strerror) or "not a usable path").lower()


class Keeper:
    """Reads once, writes again and again: from a copy that the loop makes, in a thread that nobody waits for."""

    def __init__(self, path: Path, memento: Memento, section: OwnersSection | None = None) -> None:
        """`section`: what else stands in it; None: nothing."""
        self._path = path
        self._memento = memento
        self._section = section
        self._off = False
        self._said = ""
        """Of the last write that failed; said once."""
        self._writing: asyncio.Future[str] | None = None

    def recall(self) -> None:
        """Take in what an earlier process left; whatever keeps it from that, the log says so."""
        try:
            document = read(self._path)
        except ForeignError as error:
            self._off = True
            _log.warning("state file %s: %s; it is left alone, and nothing learned is kept", self._path, error)
        except UnusableError as error:
            _log.warning("state file %s is not used: %s; all is learned anew", self._path, error)
        else:
            if document is None:
                _log.info("state file %s is not there yet: all is learned anew", self._path)
            else:
                known = self._memento.recall(document)
                if self._section is not None:
                    self._section.recall(document.get(SECTION))
                _log.info("state file %s read: it knows %d backends of these", self._path, known)

    async def run(self) -> None:
        """Until cancelled."""
        while not self._off:
            await asyncio.sleep(WRITE_EVERY_S)
            await self.write()

    async def write(self) -> None:
        """Once; what fails is said when it is news. While a write hangs no other one is begun."""
        if self._off:
            return
        if self._writing is None:
            owners = None if self._section is None else self._section.taken()
            self._writing = _in_thread(self._path, self._memento.learned(), owners)
        reason = await asyncio.shield(self._writing)
        self._writing = None
        self._tell(reason)

    async def close(self) -> None:
        """The last write."""
        try:
            async with asyncio.timeout(_LAST_WRITE_S):
                if self._writing is not None:
                    await asyncio.shield(self._writing)
                    self._writing = None
                await self.write()
        except TimeoutError:
            self._tell("the disk does not answer")

    def _tell(self, reason: str) -> None:
        if reason and reason != self._said:
            _log.warning("state file %s cannot be written: %s; nothing learned is kept", self._path, reason)
        elif self._said and not reason:
            _log.info("state file %s is written again", self._path)
        self._said = reason


def _in_thread(path: Path, document: dict[str, Any], owners: Taken | None) -> "asyncio.Future[str]":
    """Why it could not be written, empty for nothing. The thread is nobody's: a disk that hangs keeps no process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[str] = loop.create_future()

    def work() -> None:
        reason = ""
        try:
            write(path, document if owners is None else {**document, SECTION: owners.as_json()})
        except (OSError, ValueError) as error:
            reason = _reason(error)
        with contextlib.suppress(RuntimeError):  # the loop was closed in the meantime
            loop.call_soon_threadsafe(done.set_result, reason)

    threading.Thread(target=work, name="state file", daemon=True).start()
    return done
