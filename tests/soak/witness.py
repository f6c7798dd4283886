"""What a proxy has in use, as a thread inside it tells: blocks of Python's allocator and bytes of C's.

Resident memory is what an operator sees, but it never says that nothing is kept: what lies between blocks in use grows
by chance, for hours. What is in use is exact, of a proxy at rest.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

INSIDE = Path(__file__).with_name("inside")


class InUse(NamedTuple):
    """At one moment."""

    blocks: int
    heap_b: int


class Witness:
    """The end of the pipes that asks."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.environment = {"TIDEGATE_WITNESS": str(folder), "PYTHONPATH": str(INSIDE)}
        """For the proxy."""

    def ask(self) -> InUse:
        """Waits for the answer."""
        (self._folder / "ask").write_text("now")
        blocks, heap_b = (self._folder / "told").read_text().split()
        return InUse(int(blocks), int(heap_b))


@contextmanager
def witness() -> Iterator[Witness]:
    """One for the length of a block."""
    with tempfile.TemporaryDirectory(prefix="tidegate-witness-") as folder:
        for name in ("ask", "told"):
            os.mkfifo(Path(folder, name))
        yield Witness(Path(folder))
