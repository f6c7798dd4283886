"""Tasks that nobody waits for: what becomes of a crash in one."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

_log = logging.getLogger("tidegate")


def watched(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """A background task; a crash of one is a bug that must be seen."""
    task = asyncio.ensure_future(work)
    task.add_done_callback(_tell_crash)
    return task


def _tell_crash(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a background task crashed; this is a bug, please report it", exc_info=error)
