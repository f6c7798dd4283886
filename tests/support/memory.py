"""What a proxy's memory did while something happened to it: the kernel's own high-water mark of it."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.patience import eventually

if TYPE_CHECKING:
    from tests.support.proxy_process import ProxyProcess

MIB: Final = 1 << 20
SPARE_B: Final = 32 * MIB
"""What an attack may take beside its bytes."""
COPIES: Final = 2
"""How often each of its bytes may be there."""
LOOK_S: Final = 0.02
"""Between two looks at a process that may end."""


class HighWater:
    """Of one process: resident memory at first, and the most there was since then. Read until it ends."""

    def __init__(self, pid: int) -> None:
        self._folder = Path("/proc", str(pid))
        self.idle_b = 0
        self.peak_b = 0
        self.begin()

    def begin(self) -> None:
        """From now on; where the kernel does not forget its mark, the looks alone tell."""
        try:
            (self._folder / "clear_refs").write_text("5")
            self._field = "VmHWM"
        except OSError:
            self._field = "VmRSS"
        self.idle_b = self._read("VmRSS")
        self.peak_b = self.idle_b

    def look(self) -> None:
        """Takes note of the mark; harmless when the process has ended."""
        self.peak_b = max(self.peak_b, self._read(self._field))

    @property
    def growth_b(self) -> int:
        """Bytes."""
        return self.peak_b - self.idle_b

    def assert_at_most(self, in_progress_b: int) -> None:
        """AssertionError when it took more than an attack may that has so many bytes in progress at once."""
        most_b = SPARE_B + COPIES * in_progress_b
        assert self.growth_b <= most_b, f"{self.growth_b / MIB:.1f} MiB above idle, at most {most_b / MIB:.1f}"

    def _read(self, field: str) -> int:
        try:
            lines = (self._folder / "status").read_text().splitlines()
        except OSError:
            return 0
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), 0)


_watched: list[HighWater] | None = None
"""Proxies that were ready in the test that runs; None: nobody looks."""


def is_ready(pid: int) -> None:
    """A proxy has started: what it takes from here on is counted, where anybody looks."""
    if _watched is not None:
        _watched.append(HighWater(pid))


@contextmanager
def watched(running: Iterable[int]) -> Iterator[list[HighWater]]:
    """The marks of these processes and of all proxies that become ready inside the block."""
    global _watched
    _watched = [HighWater(pid) for pid in running]
    over = threading.Event()
    watcher = threading.Thread(target=_look, args=(_watched, over), daemon=True)
    watcher.start()
    try:
        yield _watched
    finally:
        over.set()
        watcher.join()
        _watched = None


def _look(marks: list[HighWater], over: threading.Event) -> None:
    """Now and then, and in the end: a process may end before."""
    while not over.wait(LOOK_S):
        for mark in list(marks):
            mark.look()
    for mark in marks:
        mark.look()


@contextmanager
def memory_peak(proxy: "ProxyProcess") -> Iterator[HighWater]:
    """The most resident memory inside the block, from what there was at its start."""
    mark = HighWater(proxy.process.pid)
    yield mark
    mark.look()


def settles_at(proxy: "ProxyProcess", most_b: int, within_s: float = 10.0) -> None:
    """Fails when resident memory does not come down to `most_b`."""
    eventually(lambda: proxy.rss_b() <= most_b, f"at most {most_b / MIB:.0f} MiB resident", within_s)
