"""Routers of the package index, to be measured beside: each in a virtual environment of its own, outside this clone.

    python -m tests.benchmarks.overhead.peers [NAME…]

One that does not install is told of, and the benchmark leaves it out.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "sglang-router": "sglang-router",
    "vllm-router": "vllm-router",
    "smg": "smg",
    "litellm": "litellm[proxy]",
}


def folder() -> Path:
    """Of all of them: `TIDEGATE_PEERS`, else a folder of the user's cache."""
    told = os.environ.get("TIDEGATE_PEERS")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(told) if told else cache / "tidegate-peers"


def python(name: str) -> Path:
    """Its interpreter, whether it is there or not."""
    return folder() / name / "bin/python"


def version(name: str) -> str:
    """As its package says; empty: it is not there whole."""
    asked = f"from importlib.metadata import version; print(version({PACKAGES[name].partition('[')[0]!r}))"
    try:
        done = subprocess.run([python(name), "-c", asked], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def install(name: str) -> bool:
    """Whether it is there now. Half of one is taken away."""
    place = folder() / name
    steps = (
        [sys.executable, "-m", "venv", str(place)],
        [str(python(name)), "-m", "pip", "install", "-q", "--disable-pip-version-check", PACKAGES[name]],
    )
    try:
        for step in steps:
            subprocess.run(step, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"peers: {name} does not install: {error}", file=sys.stderr)
        shutil.rmtree(place, ignore_errors=True)
        return False
    return True


def main() -> int:
    """Installs those named, or all; 1 when one is missing."""
    names = sys.argv[1:] or list(PACKAGES)
    if unknown := [name for name in names if name not in PACKAGES]:
        print(f"peers: unknown: {', '.join(unknown)} (there are {', '.join(PACKAGES)})", file=sys.stderr)
        return 2
    found = {name: version(name) or (install(name) and version(name)) for name in names}
    print(json.dumps(found, indent=1))
    return 0 if all(found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
