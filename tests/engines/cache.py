"""Where `make engines` put the engines, and whether they are there. Owns the skip, or the failure, for want of one."""

import os
import subprocess
from functools import cache
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[2]
PARTS = ("xllamacpp", "transformers", "vllm", "llama-server")
REQUIRED = "TIDEGATE_ENGINES_REQUIRED"
"""Environment variable: parts, or `1` for all, whose absence fails a test instead of skipping it."""


def folder() -> Path:
    """Where `make engines` puts things; deploy/engines.sh says the same."""
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("TIDEGATE_ENGINES") or f"{caches}/tidegate/engines")


@cache
def is_there(part: str) -> bool:
    """Whether a part is set up and current."""
    check = ["sh", str(CLONE / "deploy/engines.sh"), "--check", part]
    return subprocess.run(check, check=False).returncode == 0


def is_required(part: str) -> bool:
    words = os.environ.get(REQUIRED, "").replace(",", " ").split()
    return "1" in words or part in words


def need(*parts: str) -> str:
    """The first of these parts that is there; skips the test when none is, or fails it when one is said to be there."""
    found = next((part for part in parts if is_there(part)), None)
    if found is not None:
        return found
    reason = f"no current {' or '.join(parts)} in {folder()}: run `sh deploy/engines.sh {parts[0]}` once"
    if any(is_required(part) for part in parts):
        pytest.fail(reason)
    pytest.skip(reason)
