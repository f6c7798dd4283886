"""What cannot be had with several workers: what one of them remembers, and another one would be asked for."""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.config.finding import Finding
from proxy.config.options import OptionPath

_ONE = "leave it out, or write workers: 1"


def worker_findings(groups: Mapping[str, Any]) -> Iterator[Finding]:
    """Nothing where there is one worker."""
    workers = groups.get("workers", 1)
    if workers == 1:
        return
    for path, what in _kept_by_one(groups):
        yield Finding(path, f"{what} in one process, and there are several (workers: {workers})", _ONE)


def _kept_by_one(groups: Mapping[str, Any]) -> Iterator[tuple[OptionPath, str]]:
    store, cache = groups.get("store"), groups.get("cache")
    if store is not None and (store.path is not None or store.url is not None):
        yield ("store",), "keeps files and batches"
    if cache is not None and cache.size:
        yield ("cache", "size"), "keeps answers"
    for name in ("classes", "prompts"):
        for index, entry in enumerate(groups.get(name) or ()):
            if entry.answer.rule() is not None:
                yield (name, index, "answer"), "keeps short answers that can be expanded"
    for index, entry in enumerate(groups.get("classes") or ()):
        if entry.validate_.answers:
            yield ("classes", index, "validate"), "counts the answers that it checks"
