"""Options of the cache that are the configuration's alone, and what contradicts what around it.

Owns the comparison; what is kept of which requests stands in `model.cache`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from proxy.config.backend import BackendOptions
from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.options import OptionPath
from proxy.config.secrets import SecretReference
from proxy.engines.registry import DIALECTS
from proxy.model.cache import CacheSettings, ClassCacheSettings
from proxy.model.classes import ClassSettings
from proxy.model.units import format_size

SOURCE = "cache"
"""What metrics and logs call answers from memory, where they name a backend."""
_USUAL = ClassCacheSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOptions(CacheSettings):
    """Answers that are kept in memory and given again to the same request; `size` switches it on."""

    remote_password: SecretReference = None
    """Of `remote`, by reference: `${NAME}` or `${file:PATH}`. null: it has none."""


_DEFAULTS = CacheOptions()
_SHARED = frozenset({"remote", "remote_password"})
"""The second level is there without the first: for who has which response and conversation."""


def cache_findings(
    cache: CacheOptions,
    classes: Sequence[ClassSettings],
    routing: Any,
    limits: Any,
    backends: Mapping[int, BackendOptions],
) -> Iterator[Finding]:
    """What is wrong around the cache. `routing` and `limits` are None where they are wrong in themselves."""
    if cache.remote is None and cache.remote_password is not None:
        yield _useless(("cache", "remote_password"), "cache.remote names no second level")
    if not cache.size:
        yield from _unused(cache, classes, () if routing is None else routing.models)
        return
    for name in ("ttl", "entry"):
        if not getattr(cache, name):
            yield Finding(("cache", name), "must be above 0: nothing would be kept", "to keep nothing, leave size out")
    most = int(cache.size * cache.tenant_share)
    if cache.entry > most:
        message = f"is above what one tenant may fill ({format_size(most)}): such answers are not kept"
        yield Finding(("cache", "entry"), message, severity=Severity.WARNING)
    limit = None if limits is None else limits.memory.limit
    if limit is not None and cache.size >= limit:
        message = f"must be below limits.memory.limit ({format_size(limit)}), of which it is a part"
        yield Finding(("cache", "size"), message)
    for index, backend in backends.items():
        if backend.name == SOURCE:
            message = "is what metrics call answers from memory: the two would be one"
            yield Finding(("backends", index, "name"), message, "choose another name", Severity.WARNING)


def salt_findings(backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    """Engines that are told a salt and do not know it."""
    for index, backend in backends.items():
        dialect = DIALECTS.get(backend.known_kind)
        if backend.cache_salt != "off" and dialect is not None and not dialect.salts_cache:
            path: OptionPath = ("backends", index, "cache_salt")
            yield Finding(
                path, f"has no effect: {backend.known_kind} does not know it", "leave it out", Severity.WARNING
            )


def _unused(cache: CacheOptions, classes: Sequence[ClassSettings], models: Sequence[Any]) -> Iterator[Finding]:
    """What is written as if anything were kept."""
    why = "cache.size is 0, so that no answer is kept"
    for option in fields(CacheOptions):
        if option.name in _SHARED:
            continue
        if getattr(cache, option.name) != getattr(_DEFAULTS, option.name):
            yield _useless(("cache", option.name), why)
    for index, entry in enumerate(classes):
        if entry.cache != _USUAL:
            yield _useless(("classes", index, "cache"), why)
    for index, model in enumerate(models):
        if model.revision is not None:
            yield _useless(("routing", "models", index, "revision"), why)


def _useless(path: OptionPath, why: str) -> Finding:
    return Finding(path, f"has no effect: {why}", "write cache: {size: 256MiB}, or leave it out", Severity.WARNING)
