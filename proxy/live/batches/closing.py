"""From the results of a batch to its output and error file, piece by piece, and to its end.

Nothing of it is known before all is on the disk: the files and the state of the batch come in one transaction. Broken
off by whatever, it begins anew.
"""

import os
from typing import Final

from proxy.live.batches.files import Upload
from proxy.live.batches.store import Store
from proxy.model.batch import Batch, BatchLine, BatchState, LineResult, StoredFile
from proxy.wire import batch_objects

PURPOSE: Final = "batch_output"
_LINES_AT_ONCE: Final = 500


class Closing:
    """Of one batch that has no line out any more. Blocks: only the thread of the store calls it."""

    def __init__(self, store: Store, batch: Batch, after: BatchState) -> None:
        """`after`: how it ends."""
        self._store = store
        self._batch = batch
        self._after = after
        self._behind = (b"", 0)
        self._has_all = after is not BatchState.EXPIRED
        """What was not run because of a cancellation is in no file, as with OpenAI."""
        self._line = 0
        self._good = True
        self._files: dict[bool, Upload] = {}

    def drop(self) -> None:
        """It was broken off."""
        for one in self._files.values():
            self._store.files.drop(one)

    def step(self) -> bool:
        """One piece; False: that was the last one. StoreFullError where there is no room."""
        if not self._has_all:
            self._has_all = not self._give_up_some()
            return True
        rows = self._store.batches.results(self._batch.number, self._line, good=self._good)
        if rows:
            if self._good not in self._files:
                self._files[self._good] = self._store.files.begin()
            self._store.files.write(self._files[self._good], b"".join(record + b"\n" for _, record in rows))
            self._line = rows[-1][0]
        elif self._good:
            self._good, self._line = False, 0
        else:
            return False
        return True

    def finish(self, now: float) -> Batch | None:
        """The batch at its end. None: it is there already."""
        store, batch, written = self._store, self._batch, dict(self._files)
        found = {good: store.files.keep(one) for good, one in written.items()}
        expires = None if batch.output_expires_s is None else int(now) + batch.output_expires_s
        with store.database.transaction(lasting=True) as sql:
            for good, one in written.items():
                name = f"{batch.id}_{'output' if good else 'error'}.jsonl"
                told = StoredFile(found[good], PURPOSE, name, one.size_b, int(now), expires)
                store.files.add(sql, batch.owner.whose, told)
            names = {"output_file": found.get(True, ""), "error_file": found.get(False, "")}
            ended = store.batches.moved(sql, batch.number, self._after, now, **names)
            if ended is None:
                raise RuntimeError(f"{batch.id} is {batch.state}, which {self._after} cannot follow")
        store.files.count += len(written)
        self._files = {}
        return ended

    def _give_up_some(self) -> bool:
        """Some of the lines that will never run have their result; False: all have."""
        lines = self._store.batches.waiting(self._batch.number, self._behind, _LINES_AT_ONCE)
        if not lines:
            return False
        self._store.batches.put(self._batch.number, [_expired(self._batch, one) for one in lines])
        self._behind = lines[-1].head, lines[-1].line
        return True


def _expired(batch: Batch, line: BatchLine) -> LineResult:
    record = batch_objects.unanswered(line_name(batch.id, line.line), line.custom_id, *batch_objects.EXPIRED)
    return LineResult(line.line, False, record)


def line_name(batch: str, line: int) -> str:
    """Id of a line's request, the same each time it is sent."""
    return f"batch_req_{batch.removeprefix('batch_')}_{line}"


def read_lines(descriptor: int, lines: list[BatchLine], most_b: int) -> list[bytes]:
    """As they stand in the input file: of the first ones, as many as `most_b` bytes are, but one."""
    texts: list[bytes] = []
    for line in lines:
        most_b -= line.size_b
        if texts and most_b < 0:
            break
        texts.append(os.pread(descriptor, line.size_b, line.start_b))
    return texts
