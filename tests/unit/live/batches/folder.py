"""Stores in a folder of a test, and what is put into them."""

import json
from pathlib import Path
from typing import Any

from proxy.live.batches.store import Store
from proxy.live.batches.validation import Validation
from proxy.model.batch import Batch, BatchState, LineResult, Owner, StoredFile
from proxy.model.store import StoreSettings

ME = Owner(b"me", "me", True)
CHAT = "/v1/chat/completions"


def opened(path: Path, **more: Any) -> Store:
    return Store(StoreSettings(path=str(path), **more), path)


def file_of(store: Store, data: bytes, purpose: str = "batch", created: int = 0, whose: bytes = b"me") -> StoredFile:
    upload = store.files.begin()
    store.files.write(upload, data)
    return store.files.finish(upload, whose, StoredFile(upload.id, purpose, "x", len(data), created))


def lines(count: int) -> bytes:
    def one(number: int) -> dict[str, Any]:
        return {"custom_id": f"c{number}", "method": "POST", "url": CHAT, "body": {"model": "m", "messages": [number]}}

    return b"".join(json.dumps(one(number)).encode() + b"\n" for number in range(1, count + 1))


def new_batch(store: Store, data: bytes, created: float = 0.0) -> Batch:
    file = file_of(store, data)
    return store.create_batch(ME, CHAT, file.id, ("24h", 86400), None, created, None)


def validated(store: Store, batch: Batch) -> Batch:
    validation = Validation(store, batch)
    while validation.step():
        pass
    validation.close()
    moved = validation.finish(1.0)
    assert moved is not None
    return moved


def running(store: Store, count: int = 5) -> Batch:
    batch = validated(store, new_batch(store, lines(count)))
    assert batch.state is BatchState.IN_PROGRESS
    return batch


def result(line: int, record: bytes = b"{}", *, is_good: bool = True) -> LineResult:
    return LineResult(line, is_good, record, 1, 0, 2)
