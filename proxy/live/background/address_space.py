"""The limit on address space (`ulimit -v`, RLIMIT_AS), under which memory is not short but refused at once.

Native code that this process is made of does not survive an allocation that fails: orjson writes through the null
pointer, Rust's allocator aborts. So nothing is begun that could come near the limit: with too little of it the proxy
does not start, and a request that there may be no room for is refused. Without a limit, or where Linux's `/proc` is
missing, nothing is measured.
"""

import ctypes
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20
"""Not those of `model.units`: this module is asked when nothing heavier could be loaded."""

LEAST_B: Final = 256 * MIB
"""Below it the proxy does not start: some 100 MiB are its own, the rest is enough for a request of 2 MiB."""
_KEPT_B: Final = 64 * MIB
"""For what was begun: bodies being read, answers, streams, log lines."""
_PER_BYTE: Final = 32
"""A body becomes a parsed copy, a prompt and a message; three bytes of JSON (`[],`) become an object of 64 and more."""
_STACK_B: Final = 512 * KIB
_M_ARENA_MAX: Final = -8


class AddressSpace:
    """Of this process."""

    def __init__(
        self, limit_b: "Callable[[], int | None] | None" = None, used_b: "Callable[[], int] | None" = None
    ) -> None:
        self._read_limit_b = limit_b or limit
        self._read_used_b = used_b or used
        self._limit_b = self._read_limit_b()

    def look(self) -> None:
        """The limit may be changed from outside (`prlimit --pid`)."""
        self._limit_b = self._read_limit_b()

    def has_room(self, body_b: int) -> bool:
        """Whether a body of `body_b` bytes can be worked on."""
        limit_b = self._limit_b
        return limit_b is None or limit_b - self._read_used_b() >= _KEPT_B + _PER_BYTE * body_b


def why_not() -> str | None:
    """Why this process has too little of it to serve; None: it has enough."""
    limit_b = limit()
    if limit_b is None or limit_b >= LEAST_B:
        return None
    has, needs = limit_b // MIB, LEAST_B // MIB
    return f"This process may use {has} MiB of address space; at least {needs} MiB are needed (`ulimit -v`, RLIMIT_AS)."


def be_frugal() -> None:
    """Before threads are started: each would reserve 8 MiB for its stack and 64 MiB for its memory."""
    if limit() is None:
        return
    threading.stack_size(_STACK_B)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


def limit() -> int | None:
    """Bytes; None: there is none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if soft == resource.RLIM_INFINITY else soft


def used() -> int:
    """Bytes; 0 where it cannot be read."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
