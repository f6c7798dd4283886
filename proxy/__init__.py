"""Tidegate: an OpenAI-compatible smart proxy in front of LLM engines. The tree is explained in README.md."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("tidegate")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"
