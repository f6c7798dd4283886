"""Notices that the configuration's files have changed: written, replaced by an editor, or swapped by a symlink.

Owns what "changed" means: of each file where it leads to, its size and its times. Who tells that something may have
happened (the kernel, or a few seconds gone by) does not matter, and neither does what else is in those folders.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, TypeAlias

from watchfiles import awatch

_log = logging.getLogger("tidegate.reload")
LOOK_MS: Final = 2000
"""Where nobody tells of changes (network file systems, single files mounted into a container) they are looked for so
often."""
_STEP_MS: Final = 50
_RETRY_S: Final = 5.0
MAX_FOLDERS: Final = 256

Prints: TypeAlias = dict[Path, tuple[str, int, int, int] | None]


def prints(files: Iterable[Path]) -> Prints:
    """What each of them is now: where it leads to, inode, size and time; None: it is not there. Blocks."""
    return {file: _print(file) for file in files}


def _print(file: Path) -> tuple[str, int, int, int] | None:
    try:
        real = file.resolve()
        found = real.stat()
    except (OSError, RuntimeError, ValueError):
        return None
    return str(real), found.st_ino, found.st_size, found.st_mtime_ns


def folders(files: Iterable[Path]) -> list[Path]:
    """Where something happens when one of them changes: its own folder, in which a link may be swapped, and the one of
    the file that it leads to; a folder that is named itself."""
    found: set[Path] = set()
    for file in files:
        for one in (file.absolute(), file.absolute().parent, file.resolve().parent):
            if one.is_dir():
                found.add(one)
    return sorted(found)[:MAX_FOLDERS]


class FileWatch:
    """One per process; `run` in a task, cancelled and begun anew when the files are others."""

    def __init__(
        self, files: Iterable[Path], settle_s: float, changed: Callable[[], None], known: Prints | None = None
    ) -> None:
        """`known`: what another watch knew of them."""
        self.files = sorted(set(files))
        self._settle_s = settle_s
        self._changed = changed
        self.known = {file: (known or {}).get(file, _print(file)) for file in self.files}
        """As they were read."""

    def configure(self, files: set[Path], settle_s: float) -> bool:
        """Whether it goes on as it is; False: the files are others."""
        self._settle_s = settle_s
        return files == set(self.files)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self._watch()
            except (OSError, RuntimeError) as error:  # a folder is gone, or the kernel has no more watches to give
                _log.debug("the files of the configuration cannot be watched: %s", error)
            await self._look()
            await asyncio.sleep(_RETRY_S)

    async def _watch(self) -> None:
        where = await asyncio.to_thread(folders, self.files)
        if not where:
            return
        await self._look()
        async for _ in awatch(
            *where,
            watch_filter=None,
            debounce=_STEP_MS,
            step=_STEP_MS,
            rust_timeout=LOOK_MS,
            yield_on_timeout=True,
            recursive=False,
            ignore_permission_denied=True,
        ):
            await self._look()
            if await asyncio.to_thread(folders, self.files) != where:
                return

    async def _look(self) -> None:
        """Tell of a change once nothing changes any more."""
        now = await asyncio.to_thread(prints, self.files)
        if now == self.known:
            return
        while True:
            await asyncio.sleep(self._settle_s)
            later = await asyncio.to_thread(prints, self.files)
            if later == now:
                break
            now = later
        if now != self.known:
            self.known = now
            self._changed()
