"""The file of what was learned: whole at any moment, never anybody else's, and no reason not to start."""

import asyncio
import logging
import os
import stat
from pathlib import Path
from random import Random
from typing import Any

import pytest

from proxy.app import state_file
from proxy.app.state_file import MAX_B, ForeignError, Keeper, UnusableError, read, write
from proxy.core.memento import Memento
from proxy.core.scheduler import Scheduler
from proxy.model.backend import BackendSpec
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from tests.support.patience import eventually

DOCUMENT: dict[str, Any] = {"tidegate_state": 1, "backends": {"a": {"engine": "x"}}}
ROOT = os.geteuid() == 0


def memento() -> Memento:
    return Scheduler(
        [BackendSpec("a")], retries=RetrySettings(), hold=HoldSettings(), health=HealthSettings(), rng=Random(1)
    ).memento


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)


def test_what_is_written_is_read(path: Path) -> None:
    assert read(path) is None
    write(path, DOCUMENT)
    assert read(path) == DOCUMENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["state.json"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b'{"tidegate_state":1,"backends":{"a":', "damaged"),
        (b'{"tidegate_state":1,"x":NaN}', "damaged"),
        (b'{"tidegate_state":1}garbage', "damaged"),
        (b'{"tidegate_state":' + b"[" * 100_000, "damaged"),
        (b'{"tidegate_state":2}', "another version"),
        (b'{"tidegate_state":true}', "another version"),
        (b'{"tidegate_state":null}', "another version"),
        (b'{"tidegate_state":1,"tidegate_state":7}', "another version"),
    ],
)
async def test_one_of_ours_that_is_of_no_use_is_replaced(
    path: Path, content: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(content)
    with pytest.raises(UnusableError, match=reason):
        read(path)
    keeper = Keeper(path, memento())
    keeper.recall()
    assert str(path) in said(caplog)
    assert reason in said(caplog)
    await keeper.write()
    assert read(path) is not None


@pytest.mark.parametrize(
    "content", [b"version: 1\nbackends: []\n", b"[]", b'{"other": 1}', b"\x00\xff\xfe", b'"tidegate_state"']
)
async def test_a_file_of_somebody_else_is_left_alone(
    path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(content)
    keeper = Keeper(path, memento())
    keeper.recall()
    assert "left alone" in said(caplog)
    await keeper.write()
    await keeper.close()
    assert path.read_bytes() == content
    await asyncio.wait_for(keeper.run(), 5.0)


def test_one_that_is_too_large_is_not_read(path: Path) -> None:
    with path.open("wb") as file:
        file.write(b'{"tidegate_state":1')
        file.truncate(MAX_B + 2)
    with pytest.raises(ForeignError, match="larger than 16 MiB"):
        read(path)


def test_a_pipe_keeps_nobody_waiting(path: Path) -> None:
    os.mkfifo(path)
    with pytest.raises(ForeignError, match="not a file"):
        read(path)


async def test_a_directory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    keeper = Keeper(tmp_path, memento())
    keeper.recall()
    await keeper.write()
    assert "left alone" in said(caplog)


@pytest.mark.parametrize("name", ["missing/state.json", "file/state.json", "a\0b"])
async def test_a_path_that_cannot_be(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    keeper = Keeper(tmp_path / name, memento())
    keeper.recall()
    for _ in range(3):
        await keeper.write()
    await keeper.close()
    assert said(caplog).count("cannot be written") == 1


@pytest.mark.skipif(ROOT, reason="root may read and write everything")
@pytest.mark.parametrize("mode", [0o000, 0o200])
async def test_without_permission(path: Path, mode: int, caplog: pytest.LogCaptureFixture) -> None:
    write(path, DOCUMENT)
    path.chmod(mode)
    Keeper(path, memento()).recall()
    assert "permission denied" in said(caplog)


async def test_a_full_disk_leaves_the_old_file_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, DOCUMENT)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    keeper = Keeper(path, memento())
    keeper.recall()
    for _ in range(3):
        await keeper.write()
    assert read(path) == DOCUMENT
    assert os.listdir(path.parent) == ["state.json"]
    assert said(caplog).count("no space left on device") == 1
    monkeypatch.undo()
    await keeper.write()
    assert read(path) != DOCUMENT


async def test_a_disk_that_hangs_keeps_neither_loop_nor_end(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun: list[int] = []
    goes_on = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hangs(*_: Any) -> None:
        begun.append(1)
        asyncio.run_coroutine_threadsafe(goes_on.wait(), loop).result(30.0)

    monkeypatch.setattr(state_file, "write", hangs)
    monkeypatch.setattr(state_file, "_LAST_WRITE_S", 0.1)
    keeper = Keeper(path, memento())
    writing = asyncio.ensure_future(keeper.write())
    for _ in range(200):
        await asyncio.sleep(0)  # the loop runs on
    await asyncio.wait_for(keeper.close(), 5.0)
    assert "does not answer" in said(caplog)
    assert begun == [1], "no second write beside it"
    goes_on.set()
    await asyncio.wait_for(writing, 5.0)


def test_two_that_write_at_once_leave_a_whole_file(path: Path) -> None:
    """Readers see one or the other, always whole, whatever moment they look."""
    pid = os.fork()
    if pid == 0:
        for number in range(300):
            write(path, {**DOCUMENT, "writer": "child", "x": "c" * number})
        os._exit(0)
    seen = 0
    for number in range(300):
        write(path, {**DOCUMENT, "writer": "parent", "x": "p" * number})
        document = read(path)
        assert document is not None
        seen += document["writer"] == "child"
    assert os.waitpid(pid, 0)[1] == 0
    assert read(path) is not None


async def test_it_is_written_again_and_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_file, "WRITE_EVERY_S", 0.01)
    running = asyncio.ensure_future(Keeper(path, memento()).run())
    await asyncio.to_thread(eventually, path.exists, "a first file")
    path.unlink()
    await asyncio.to_thread(eventually, path.exists, "a second file")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
