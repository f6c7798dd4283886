"""The life of each batch: it goes on where a restart finds it, and what is old is removed."""

import asyncio
import time
from hashlib import sha256
from pathlib import Path

from proxy.model.batch import BatchState, Owner
from tests.integration.test_batches_live import client, ended, house, line, rows, written
from tests.unit.live.batches.folder import CHAT, file_of, opened, result, validated

KEY = sha256(b"k").digest()


async def test_a_restart_goes_on_in_every_state(tmp_path: Path) -> None:
    store = opened(tmp_path / "store")
    owner, now = Owner(KEY), time.time()

    def made(count: int = 4) -> int:
        data = written([line(number) for number in range(1, count + 1)])
        file = file_of(store, data, created=int(now), whose=KEY)
        return store.create_batch(owner, CHAT, file.id, ("24h", 86400), None, now, None).number

    new, half, over, all_done, cancelled = made(), made(), made(), made(), made()
    for number in (half, over, all_done, cancelled):
        validated(store, store.batches.get(number))
    store.batches.put(half, [result(2)])
    store.batches.put(over, [result(1), result(2)])
    store.batches.put(all_done, [result(n) for n in range(1, 5)])
    store.batches.put(cancelled, [result(3)])
    for number in (over, all_done):
        store.batches.move(number, BatchState.FINALIZING, now)
    store.batches.move(cancelled, BatchState.CANCELLING, now)
    names = [store.batches.get(number).id for number in (new, half, over, all_done, cancelled)]
    store.close()
    async with house(tmp_path) as live, client(live) as through:
        found = [await ended(through, await through.batches.retrieve(name)) for name in names]
        assert [batch.status for batch in found] == ["completed", "completed", "expired", "completed", "cancelled"]
        counts = [(b.request_counts.completed, b.request_counts.failed) for b in found if b.request_counts]
        assert counts == [(4, 0), (4, 0), (2, 2), (4, 0), (1, 0)]
        assert len(await rows(through, found[1].output_file_id)) == 4


async def test_what_is_shown(tmp_path: Path) -> None:
    async with house(tmp_path, ahead=2) as live, client(live) as through:
        file = await through.files.create(file=("x", written([line(n) for n in range(30)])), purpose="batch")
        batch = await through.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")  # type: ignore[arg-type]
        assert (await ended(through, batch)).status == "completed"
        view = live.proxy._batches.view()
        assert view is not None
        assert (view.states, view.done, view.failed, view.running) == ({"completed": 1}, 30, 0, 0)
        assert view.prompt_tokens > 0
        assert view.files == 2
        async with asyncio.timeout(20):
            while live.proxy._batches.view().used_b != sum(
                p.stat().st_size for p in (tmp_path / "store/files").iterdir()
            ):  # type: ignore[union-attr]
                await asyncio.sleep(0.02)
