"""Memory as a limit like any other: measured once a second, answered by closing and refusing, never by being killed.

Reads Linux's `/proc` and cgroup files; where they are missing, nothing is measured and nothing is refused.
"""

import asyncio
import contextlib
import ctypes
import os
from collections.abc import Callable
from pathlib import Path

from proxy.live.background import address_space
from proxy.live.background.address_space import AddressSpace
from proxy.model.limits import MemoryLimits

_PERIOD_S = 1.0
_M_MMAP_THRESHOLD = -3
_LARGE_B = 128 * 1024
_CGROUP_FILES = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class MemoryGuard:
    """Knows whether new requests can be taken."""

    def __init__(
        self,
        limits: MemoryLimits,
        close_idle: Callable[[], None],
        shed_bulk: Callable[[], None],
        rss_b: "Callable[[], int] | None" = None,
        space: AddressSpace | None = None,
    ) -> None:
        self._limits = limits
        self._limit_b = limit_b(limits)
        self._close_idle = close_idle
        self._shed_bulk = shed_bulk
        self._rss_b = rss_b or resident_b
        self._space = space or AddressSpace()
        self.is_tight = False
        """Bulk is refused."""
        self.is_full = False
        """Every new request is."""

    def configure(self, limits: MemoryLimits) -> None:
        """Other shares, or another limit, from the next look on."""
        self._limits = limits
        self._limit_b = limit_b(limits)

    @property
    def limit_b(self) -> int:
        """What this process may use at most, bytes."""
        return self._limit_b

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.check()
            await asyncio.sleep(_PERIOD_S)

    def has_room(self, body_b: int) -> bool:
        """Whether a body of `body_b` bytes can be worked on."""
        return self._space.has_room(body_b)

    def check(self) -> None:
        """Measure and act once."""
        share = self._rss_b() / self._limit_b
        self._space.look()
        self.is_full = share > self._limits.shed or not self._space.has_room(0)
        self.is_tight = self.is_full or share > self._limits.shed_bulk
        if self.is_tight:
            self._shed_bulk()
        if share > self._limits.close_idle:
            self._close_idle()
            return_free_pages()


def return_large_blocks() -> None:
    """Let every block of 128 KiB and more go back to the system as soon as it is free. glibc raises that size by itself
    to 32 MiB once such a block was freed: then what large bodies took would stay with the process."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_B)


def return_free_pages() -> None:
    """Give back to the system what is free between blocks in use. glibc alone gives back only what is free at the end:
    after a crowd of slow readers that may be little of some hundred MB, and who holds nothing any more would refuse."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def limit_b(limits: MemoryLimits) -> int:
    """What this process may use at most, bytes: as configured, else what there is."""
    return limits.limit or available_b()


def resident_b() -> int:
    """Resident memory of this process, bytes; 0 where it cannot be read."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def available_b() -> int:
    """What this process may use at most, bytes: its own limit, the container's, else the machine's memory."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    machine = min(machine, address_space.limit() or machine)
    for name in _CGROUP_FILES:
        try:
            return min(machine, int(Path(name).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return machine
