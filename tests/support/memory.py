"""What a proxy's memory did while something happened to it: the kernel's own high-water mark."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess

MIB = 1 << 20


@dataclass
class Peak:
    """Resident memory, bytes."""

    idle_b: int
    peak_b: int

    @property
    def growth_b(self) -> int:
        return self.peak_b - self.idle_b


@contextmanager
def memory_peak(proxy: ProxyProcess) -> Iterator[Peak]:
    """The highest resident memory inside the block, sampled every few milliseconds."""
    peak = Peak(proxy.rss_b(), 0)
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            peak.peak_b = max(peak.peak_b, proxy.rss_b())
            time.sleep(0.002)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()


def settles_at(proxy: ProxyProcess, most_b: int, within_s: float = 10.0) -> None:
    """Fails when resident memory does not come down to `most_b`."""
    eventually(lambda: proxy.rss_b() <= most_b, f"at most {most_b / MIB:.0f} MiB resident", within_s)
