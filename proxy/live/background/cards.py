"""How much memory is taken on the cards of a backend: asked of DCGM's exporter, or of the driver of this machine.

Owns the question and its bounds. Asked in a thread: a driver that hangs keeps nobody waiting, and is not asked again
before it has answered.
"""

import asyncio
import importlib
import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any, Final
from urllib.request import HTTPErrorProcessor, ProxyHandler, Request, build_opener

from proxy.engines.cards import used_b
from proxy.engines.load import MAX_B

NVML: Final = "nvml"
"""The driver of this machine, instead of a URL."""
_TIMEOUT_S: Final = 5.0

_log = logging.getLogger("tidegate.scraper")


class _AsItIs(HTTPErrorProcessor):
    """No redirect is followed, and no status is an exception."""

    def http_response(self, request: Request, response: Any) -> Any:
        return response

    https_response = http_response


class Cards:
    """Those of one backend."""

    def __init__(self, loop: asyncio.AbstractEventLoop, executor: Executor | None = None) -> None:
        self._loop = loop
        self._executor = executor
        self._asked: asyncio.Future[float | None] | None = None
        self._failed = ""

    async def used_b(self, source: str, gpus: Sequence[str]) -> float | None:
        """Bytes; None: it is not told, or not yet."""
        asked = self._asked
        if asked is not None and not asked.done():
            return None
        asked = self._asked = self._loop.run_in_executor(self._executor, read, source, tuple(gpus))
        try:
            used = await asyncio.wait_for(asyncio.shield(asked), _TIMEOUT_S)
        except TimeoutError:
            asked.add_done_callback(_forget)
            self._warn(f"{source} does not answer within {_TIMEOUT_S:.0f} s")
        except Exception as error:  # noqa: BLE001 - whatever a driver, its library or an exporter comes up with
            self._warn(f"{source}: {error or type(error).__name__}")
        else:
            if used is not None:
                self._failed = ""
                return used
            self._warn(f"{source} does not tell of {', '.join(gpus) or 'any card'}")
        return None

    def _warn(self, what: str) -> None:
        """Once for each."""
        if what != self._failed:
            self._failed = what
            _log.warning("memory of cards is not known: %.300s", what)


def read(source: str, gpus: Sequence[str]) -> float | None:
    """Blocks; raises whatever goes wrong."""
    if source == NVML:
        return _of_driver(gpus)
    with build_opener(ProxyHandler({}), _AsItIs()).open(source, timeout=_TIMEOUT_S) as answer:
        if answer.status != 200:
            message = f"status {answer.status}"
            raise OSError(message)
        text = answer.read(MAX_B + 1)
    return used_b(text, gpus) if len(text) <= MAX_B else None


def _of_driver(gpus: Sequence[str]) -> float | None:
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError as error:
        message = "needs pip install 'tidegate[nvml]'"
        raise OSError(message) from error
    nvml.nvmlInit()
    try:
        if gpus:
            handles = [_handle(nvml, name) for name in gpus]
        else:
            handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        return float(sum(nvml.nvmlDeviceGetMemoryInfo(handle).used for handle in handles)) if handles else None
    finally:
        nvml.nvmlShutdown()


def _handle(nvml: Any, name: str) -> Any:
    return nvml.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else nvml.nvmlDeviceGetHandleByUUID(name)


def _forget(asked: "asyncio.Future[float | None]") -> None:
    """What came too late is nobody's."""
    if not asked.cancelled():
        asked.exception()
