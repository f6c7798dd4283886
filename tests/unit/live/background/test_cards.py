"""Who is asked for the memory of cards, and what does no harm."""

import asyncio
import logging
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

from proxy.live.background import cards
from proxy.live.background.cards import NVML, Cards

TEXT = 'DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-aa"} 10\nDCGM_FI_DEV_FB_USED{gpu="1",UUID="GPU-bb"} 20\n'
MIB = 1 << 20


class Driver:
    """NVIDIA's library, as its Python binding shows it: two cards."""

    def __init__(self) -> None:
        self.used, self.open = {0: 7, 1: 9}, 0

    def nvmlInit(self) -> None:  # noqa: N802 - its name
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.used)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        if index not in self.used:
            raise RuntimeError("Invalid Argument")
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        return {"GPU-aa": 0, "GPU-bb": 1}[uuid]

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(used=self.used[handle], free=1, total=100)


@pytest.fixture
async def exporter() -> Any:
    said = SimpleNamespace(status=200, text=TEXT, url="")

    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=said.status, text=said.text, headers={"location": "/elsewhere"})

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    said.url = f"http://127.0.0.1:{runner.addresses[0][1]}/metrics"
    yield said
    await runner.cleanup()


def asked() -> Cards:
    return Cards(asyncio.get_running_loop())


async def test_an_exporter_tells(exporter: Any) -> None:
    assert await asked().used_b(exporter.url, ()) == 30 * MIB
    assert await asked().used_b(exporter.url, ("1",)) == 20 * MIB


@pytest.mark.parametrize(("status", "text"), [(500, TEXT), (302, TEXT), (200, "<html>"), (200, "x" * (5 << 20))])
async def test_one_that_is_none_tells_nothing_and_is_told_of_once(
    exporter: Any, status: int, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    exporter.status, exporter.text = status, text
    one = asked()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert await one.used_b(exporter.url, ()) is None
    assert len(caplog.records) == 1
    exporter.status, exporter.text = 200, TEXT
    assert await one.used_b(exporter.url, ()) == 30 * MIB


async def test_nobody_is_there() -> None:
    assert await asked().used_b("http://127.0.0.1:1/metrics", ()) is None


async def test_the_driver_of_this_machine_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", driver)
    assert await asked().used_b(NVML, ()) == 16
    assert await asked().used_b(NVML, ("1",)) == 9
    assert await asked().used_b(NVML, ("0", "GPU-bb")) == 16
    assert await asked().used_b(NVML, ("5",)) is None
    assert driver.open == 0, "it is let go each time"


async def test_without_its_library_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert await asked().used_b(NVML, ()) is None
    assert "tidegate[nvml]" in caplog.text


_LIBRARY = """
#include <string.h>
typedef struct { unsigned long long total, free, used; } memory;
int nvmlInit_v2(void) { return 0; }
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned at, void **card) { *card = (void *)(at + 1L); return at > 1 ? 2 : 0; }
int nvmlDeviceGetHandleByUUID(const char *id, void **card) { *card = (void *)2; return strcmp(id, "GPU-bb") ? 6 : 0; }
int nvmlDeviceGetMemoryInfo(void *card, memory *told) { told->used = (long)card == 1 ? 700 : 20; return 0; }
"""
_ASK = """
from proxy.live.background.cards import read
print(read("nvml", ()), read("nvml", ("0",)), read("nvml", ("GPU-bb",)))
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler for the library")
def test_nvidias_own_binding_is_asked_as_it_wants_to_be(tmp_path: Path) -> None:
    """Before a library that has the functions of the driver's."""
    pytest.importorskip("pynvml")
    (tmp_path / "nvml.c").write_text(_LIBRARY)
    made = ["cc", "-shared", "-fPIC", "-o", str(tmp_path / "libnvidia-ml.so.1"), str(tmp_path / "nvml.c")]
    subprocess.run(made, check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    asked = subprocess.run([sys.executable, "-c", _ASK], env=environment, check=True, capture_output=True, text=True)
    assert asked.stdout == "720.0 700.0 20.0\n"


async def test_one_that_hangs_keeps_nobody_and_is_not_asked_again_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, calls = threading.Event(), []

    def hangs(*_: object) -> float:
        calls.append(1)
        go_on.wait(10)
        return 5.0

    monkeypatch.setattr(cards, "read", hangs)
    monkeypatch.setattr(cards, "_TIMEOUT_S", 0.01)
    one = asked()
    assert await one.used_b(NVML, ()) is None
    assert await one.used_b(NVML, ()) is None
    assert len(calls) == 1
    go_on.set()
    assert one._asked is not None
    await one._asked
    monkeypatch.setattr(cards, "_TIMEOUT_S", 5.0)
    assert await one.used_b(NVML, ()) == 5.0
