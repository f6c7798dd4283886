"""How many workers `auto` means: the cores that this process may use, by its affinity and the quota of its cgroup."""

import os
from collections.abc import Iterable
from math import ceil
from pathlib import Path
from typing import Final

MOST: Final = 64
_V2: Final = "cpu.max"
_V1: Final = ("cpu.cfs_quota_us", "cpu.cfs_period_us")


def cores(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """At least 1, at most `MOST`. Where a quota grants parts of a core they count as one more."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [quota for folder in _folders(root, own) if (quota := _quota(folder)) is not None]
    return max(1, min(MOST, usable, *[ceil(quota) for quota in quotas]))


def _folders(root: Path, own: Path) -> Iterable[Path]:
    """Of the cgroup of this process, and those above it: each may have a quota."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    yield root
    yield root / "cpu"
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "cpu", "cpu,cpuacct"):
            base = root if not controllers else root / controllers
            parts = [part for part in path.split("/") if part not in ("", "..")]
            for depth in range(1, len(parts) + 1):
                yield base.joinpath(*parts[:depth])


def _quota(folder: Path) -> float | None:
    """Cores; None: there is no quota."""
    try:
        quota, period = (folder / _V2).read_text().split()
    except (OSError, ValueError):
        try:
            quota, period = ((folder / name).read_text().strip() for name in _V1)
        except OSError:
            return None
    try:
        granted = float(quota) / float(period)
    except (ValueError, ZeroDivisionError):  # "max"
        return None
    return granted if granted > 0 else None
