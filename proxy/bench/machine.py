"""What a run hangs on beside its options: this machine, the versions at work, the commit of the program."""

import os
import platform
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import proxy
from proxy.bench.run_file import Machine

_PACKAGES: Final = ("uvloop", "httptools", "orjson", "scipy", "aiohttp")
_GIT_S: Final = 5.0


def machine(*, targets_here: bool, root: Path = Path("/")) -> Machine:
    """This one."""
    cpuinfo = _lines(root / "proc/cpuinfo")
    memory = next((line.split()[1] for line in _lines(root / "proc/meminfo") if line.startswith("MemTotal")), "0")
    governors = _lines(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    names = (line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name"))
    return Machine(
        cpu=next(names, platform.machine()),
        cores=os.cpu_count() or 0,
        governor=governors[0] if governors else "",
        memory_gb=round(int(memory) * 1024 / 1e9, 1),
        system=f"{platform.system()} {platform.release()}",
        load_average=round(os.getloadavg()[0], 2),
        targets_here=targets_here,
    )


def versions() -> dict[str, str]:
    """Of what makes the load."""
    found = {"tidegate": f"{proxy.__version__} ({proxy.build()})", "python": sys.version.split()[0]}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def commit() -> str:
    """Of the source that this program runs from; `+changes` where it is not as committed; empty: it is no clone."""
    folder = Path(proxy.__file__).parent.parent
    if not (folder / ".git").exists():
        return ""
    head, status = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{head[:12]}+changes" if head and status else head[:12]


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - these words only
            ["git", "-C", str(folder), *words],  # noqa: S607 - as on everybody's PATH
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
