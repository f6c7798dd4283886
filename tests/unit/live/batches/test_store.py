"""What is asked of the store: by one thread, by so many at once, and with what is refused."""

import asyncio
import threading
from pathlib import Path

import pytest

from proxy.live.batches.database import StoreFullError
from proxy.live.batches.store import MOST_WAITING, StoreThread
from proxy.model.batch import Owner
from proxy.model.faults import FaultError, Kind
from tests.unit.live.batches.folder import CHAT, ME, file_of, lines, new_batch, opened


async def test_one_after_the_other_in_a_thread_and_no_more_than_so_many(tmp_path: Path) -> None:
    thread = StoreThread(opened(tmp_path), asyncio.get_running_loop())
    go, seen = threading.Event(), set[str]()

    def work() -> None:
        go.wait(30)
        seen.add(threading.current_thread().name)

    asked = [asyncio.ensure_future(thread.ask(work)) for _ in range(MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(FaultError) as error:
        await thread.ask(work)
    assert error.value.fault.kind is Kind.QUEUE_FULL
    go.set()
    await asyncio.gather(*asked)
    assert len(seen) == 1
    assert await thread.ask(lambda: 7) == 7
    thread.close()
    opened(tmp_path).close()


async def test_a_full_disk_is_a_fault_of_ours(tmp_path: Path) -> None:
    thread = StoreThread(opened(tmp_path), asyncio.get_running_loop())

    def full() -> None:
        raise StoreFullError("full")

    with pytest.raises(FaultError) as error:
        await thread.ask(full)
    assert error.value.fault.kind is Kind.STORAGE
    with pytest.raises(StoreFullError):
        await thread.run(full)
    thread.close()


def test_bounds_of_a_tenant(tmp_path: Path) -> None:
    store = opened(tmp_path, files=3, batches=1, size=100_000)
    new_batch(store, lines(1))
    with pytest.raises(FaultError, match="1 batches"):
        new_batch(store, lines(1))
    you = Owner(b"you")
    with pytest.raises(FaultError, match="There is no file"):
        store.create_batch(you, CHAT, file_of(store, b"").id, ("24h", 1), None, 0.0, None)
    with pytest.raises(FaultError, match="batch_output"):
        other = file_of(store, b"", "batch_output", whose=b"you")
        store.create_batch(you, CHAT, other.id, ("24h", 1), None, 0.0, None)
    with pytest.raises(FaultError, match="3 files"):
        store.begin_upload(ME.whose, 1)
    with pytest.raises(StoreFullError):
        store.begin_upload(b"you", 200_000)
    store.close()
