"""Tidegate: an OpenAI-compatible smart proxy in front of LLM engines. The tree is explained in README.md."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

try:
    __version__ = version("tidegate")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

PURE = "pure Python: about 1.8 times the CPU"


def build() -> str:
    """`compiled` where the hot path is machine code, else what that costs (decision 6)."""
    found = find_spec("proxy.core.scheduler")
    return PURE if found is None or str(found.origin).endswith(".py") else "compiled"
