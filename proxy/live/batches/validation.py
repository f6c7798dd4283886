"""From a file to the lines of a batch, piece by piece, so that others get their turn at the store between two of them.

Owns how far it is. Lines that cannot be run refuse the whole batch, as OpenAI does: all of them are told, up to a
hundred.
"""

import os
from hashlib import blake2b
from typing import Final

from proxy.live.batches.store import Store
from proxy.model.batch import Batch, BatchLine, Complaint
from proxy.wire import batch_lines

_PIECE_B: Final = 128 * 1024
"""Read at once: about half a millisecond of work."""
_MOST_ERRORS: Final = 100


class Validation:
    """Of one batch. Blocks: only the thread of the store calls it."""

    def __init__(self, store: Store, batch: Batch) -> None:
        self._store = store
        self._batch = batch
        self._rest = b""
        self._at_b = 0
        """Where in the file `_rest` begins."""
        self._number = 0
        self._seen: set[bytes] = set()
        self._skips = False
        """Inside a line that is too long."""
        self.model = ""
        self.total = 0
        self.errors: list[Complaint] = []
        store.batches.forget_lines(batch.number)
        opened = store.open_file(batch.owner.whose, batch.input_file)
        self._descriptor = -1 if opened is None else opened[0]
        if opened is None:
            self.errors.append(Complaint("file_not_found", "The input file is not there any more."))

    def close(self) -> None:
        """Give the file back."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def step(self) -> bool:
        """One piece; False: that was the last one."""
        if self._descriptor < 0 or len(self.errors) >= _MOST_ERRORS:
            return False
        data = os.read(self._descriptor, _PIECE_B)
        rows: list[BatchLine] = []
        whole = self._rest + data
        start = 0
        while (end := whole.find(b"\n", start)) >= 0 or (not data and start < len(whole)):
            end = end if end >= 0 else len(whole)
            self._line(whole[start:end], self._at_b + start, rows)
            start = end + 1
        self._rest = whole[start:]
        self._at_b += start
        if len(self._rest) > self._store.settings.line and not self._skips:
            self._skips = True
            self._complain_of_length(self._number + 1)
        if self._skips:  # only where it ends matters
            self._at_b += len(self._rest)
            self._rest = b""
        if rows and not self.errors:
            self._store.batches.add_lines(self._batch.number, rows)
        return bool(data)

    def finish(self, now: float) -> Batch | None:
        """The batch in its next state. None: it was cancelled meanwhile."""
        if not self.errors and not self.total:
            self.errors.append(Complaint("empty_file", "The input file has no lines."))
        if self.errors:
            return self._store.batches.refused(self._batch.number, self.errors, now)
        return self._store.batches.validated(self._batch.number, self.model, self.total, now)

    def _line(self, raw: bytes, start_b: int, rows: list[BatchLine]) -> None:
        self._number += 1
        number = self._number
        if self._skips:
            self._skips = False
            return
        if not raw.strip():
            return
        if len(raw) > self._store.settings.line:
            self._complain_of_length(number)
            return
        asked = batch_lines.read(raw, number, self._batch.endpoint, self.model)
        if isinstance(asked, Complaint):
            self.errors.append(asked)
            return
        self.model = self.model or asked.model
        digest = blake2b(asked.custom_id.encode("utf-8", "surrogatepass"), digest_size=12).digest()
        if digest in self._seen:
            text = f"The custom_id {asked.custom_id[:64]!r} is that of another line, too."
            self.errors.append(Complaint("duplicate_custom_id", text, number, "custom_id"))
            return
        self._seen.add(digest)
        self.total += 1
        if self.total > self._store.settings.lines:
            most = self._store.settings.lines
            self.errors = [Complaint("too_many_lines", f"The input file has more than {most} lines.")]
            os.lseek(self._descriptor, 0, os.SEEK_END)
            return
        rows.append(BatchLine(asked.head, number, start_b, len(raw), asked.custom_id))

    def _complain_of_length(self, number: int) -> None:
        most_b = self._store.settings.line
        self.errors.append(Complaint("line_too_long", f"This line is longer than {most_b} bytes.", number))
