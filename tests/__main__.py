"""All tests, in two halves at once: one computes, the other waits for sockets and for time. What fails is asked once
more, alone.

Owns which folder is in which half. The half that computes gives way (`nice`), since the other one looks at the clock.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

WAITS = ("engines", "faults", "integration", "page")
"""Folders whose tests look at the clock while proxies and engines run in processes of their own; all others compute."""
_HERE = Path(__file__).parent
_NOTHING_RAN = 5
"""pytest's exit code where nothing was selected."""


def halves() -> dict[str, list[str]]:
    """Paths of the folders with tests, by half."""
    folders = {path.relative_to(_HERE).parts[0] for path in _HERE.rglob("test_*.py")}
    return {
        "computes": [f"tests/{name}" for name in sorted(folders - set(WAITS))],
        "waits": [f"tests/{name}" for name in sorted(folders & set(WAITS))],
    }


def main() -> int:
    """0 when all passed, if need be at the second time of asking."""
    folders = halves()
    with tempfile.TemporaryFile() as later:
        computes = _start("computes", folders["computes"], later)
        try:
            codes = {"waits": _start("waits", folders["waits"], None).wait(), "computes": computes.wait()}
        finally:
            computes.terminate()
            computes.wait()
        later.seek(0)
        sys.stdout.buffer.write(later.read())
        sys.stdout.flush()
    failed = [half for half, code in codes.items() if code not in (0, _NOTHING_RAN)]
    return max([_again(half, folders[half]) for half in failed], default=0)


def _start(half: str, folders: list[str], output: IO[bytes] | None, *more: str) -> "subprocess.Popen[bytes]":
    nice = ["nice", "-n", "5"] if half == "computes" else []
    pytest = [sys.executable, "-m", "pytest", "-o", f"cache_dir=.pytest_cache/{half}"]
    return subprocess.Popen([*nice, *pytest, *more, *folders], stdout=output, stderr=output and subprocess.STDOUT)


def _again(half: str, folders: list[str]) -> int:
    print(f"\nOnce more, those of the half that {half} which failed, alone:\n", flush=True)
    return _start(half, folders, None, "--last-failed", "--last-failed-no-failures=none").wait()


if __name__ == "__main__":
    raise SystemExit(main())
