"""Names that two have: of backends, classes, models, endpoints of windows, prompts.

Owns these rules and where they are told: at the second one.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from proxy.config.backend import BackendOptions
from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.options import OptionPath
from proxy.config.refusal import quoted


def unique_findings(groups: Mapping[str, Any], backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    """Every name and URL that stands twice, among the valid groups and backends."""
    written = ((index, one.name) for index, one in backends.items() if "name" in one.model_fields_set)
    yield from _twice(("backends",), "name", written)
    yield from _urls(backends)
    yield from _twice(("classes",), "name", _of(groups.get("classes"), "name"))
    yield from _twice(("prompts",), "name", _of(groups.get("prompts"), "name"))
    if (routing := groups.get("routing")) is not None:
        yield from _twice(("routing", "models"), "name", _of(routing.models, "name"))
        yield from _twice(("routing", "windows"), "endpoint", _of(routing.windows, "endpoint"))


def _of(entries: Iterable[Any] | None, option: str) -> Iterator[tuple[int, str]]:
    return ((index, getattr(entry, option)) for index, entry in enumerate(entries or ()))


def _twice(path: OptionPath, option: str, names: Iterable[tuple[int, str]]) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, name in names:
        other = first.setdefault(name, index)
        if other != index:
            message = f"{quoted(name)} is the {option} of {'.'.join(map(str, path))}[{other}] too"
            hint = "give each its own" if option == "name" else "put both into one entry"
            yield Finding((*path, index, option), message, hint)


def _urls(backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    first: dict[tuple[str, str | None], int] = {}
    for index, backend in backends.items():
        other = first.setdefault((backend.url, backend.ip), index)
        if other != index:
            message = f"is the URL of backends[{other}] too: one engine, counted twice"
            yield Finding(("backends", index, "url"), message, "drop one of the two", Severity.WARNING)
