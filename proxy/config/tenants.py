"""Entries of tenants that contradict each other, or the models and classes there are.

Owns the comparison; what a tenant may use is applied by `core.tenancy`.
"""

from collections.abc import Iterator, Sequence

from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.options import OptionPath
from proxy.config.refusal import quoted, which_there_are
from proxy.core.tenancy.access import may_use
from proxy.core.tenancy.classify import names
from proxy.model.classes import ClassSettings
from proxy.model.fallback import FallbackSettings, ModelSettings
from proxy.model.tenants import OTHERS, TenantSettings

Served = set[str] | None
"""Every name that a backend takes; None: not known."""


def tenant_findings(tenants: Sequence[TenantSettings]) -> Iterator[Finding]:
    """Entries for one tenant, and keys of two."""
    first: dict[str, int] = {}
    holders: dict[str, OptionPath] = {}
    for index, entry in enumerate(tenants):
        other = first.setdefault(entry.tenant, index)
        if other != index:
            message = f"{quoted(entry.tenant)} has an entry already: tenants[{other}]"
            yield Finding(("tenants", index, "tenant"), message, "put all of its limits into one")
        if entry.keys and entry.tenant == OTHERS:
            message = "belong to nobody: * stands for those without an entry"
            yield Finding(("tenants", index, "keys"), message, "give them to an entry with a name")
        yield from _keys(index, entry, holders)


def class_findings(tenants: Sequence[TenantSettings], known: frozenset[str]) -> Iterator[Finding]:
    """Classes that there are not."""
    for index, entry in enumerate(tenants):
        named: list[tuple[OptionPath, str | None]] = [(("tenants", index, "highest_class"), entry.highest_class)]
        named += [(("tenants", index, "limits", at, "class"), one.class_) for at, one in enumerate(entry.limits)]
        for path, name in named:
            if name is not None and name not in known:
                hint = which_there_are(name, known)
                yield Finding(path, f"there is no class {quoted(name)}", hint)


def model_findings(
    tenants: Sequence[TenantSettings],
    served: Served,
    default_model: str | None,
    models: Sequence[ModelSettings],
    classes: Sequence[ClassSettings],
) -> Iterator[Finding]:
    """Models that there are not, or that a tenant would miss."""
    for index, entry in enumerate(tenants):
        path: OptionPath = ("tenants", index)
        for at, scope in enumerate(entry.limits):
            if scope.model is not None:
                for found in _unserved((*path, "limits", at, "model"), (scope.model,), served):
                    yield Finding((*path, "limits", at, "model"), found.message, found.hint, Severity.WARNING)
        if entry.models is not None:
            unserved = list(_unserved((*path, "models"), entry.models, served))
            yield from unserved
            left_out = () if unserved else _left_out(entry.models, default_model, models, classes, served)
            for message in dict.fromkeys(left_out):
                hint = "add it, if this tenant may have it"
                yield Finding((*path, "models"), message, hint, Severity.WARNING)


def _keys(index: int, entry: TenantSettings, holders: dict[str, OptionPath]) -> Iterator[Finding]:
    ids: set[str] = set()
    for place, key in enumerate(entry.keys):
        path: OptionPath = ("tenants", index, "keys", place)
        other = holders.setdefault(key.digest, path)
        if other != path:
            message = f"is the key of tenants[{other[1]}].keys[{other[3]}] already"
            yield Finding((*path, "digest"), message, "one key belongs to one tenant, once")
        if key.id and key.id in ids:
            yield Finding((*path, "id"), f"{quoted(key.id)} is the id of another key of this tenant")
        ids.add(key.id)


def _unserved(path: OptionPath, patterns: Sequence[str], served: Served) -> Iterator[Finding]:
    if served is None:
        return
    missing = [place for place, pattern in enumerate(patterns) if not any(names(pattern, name) for name in served)]
    nothing = len(missing) == len(patterns)
    for place in missing:
        message = f"no backend serves {quoted(patterns[place])}{', so that nothing is left for it' if nothing else ''}"
        hint = which_there_are(patterns[place], served)
        yield Finding((*path, place), message, hint, Severity.ERROR if nothing else Severity.WARNING)


def _left_out(
    patterns: Sequence[str],
    default_model: str | None,
    models: Sequence[ModelSettings],
    classes: Sequence[ClassSettings],
    served: Served,
) -> Iterator[str]:
    allowed = tuple(patterns)
    if default_model is not None and not may_use(allowed, default_model):
        yield f"leaves out {quoted(default_model)}, which requests get that name no model: they are refused"
    for model in models:
        if may_use(allowed, model.name):
            for other in _excluded(model.fallback, allowed, served):
                yield f"leaves out {quoted(other)}, the fallback of {quoted(model.name)}: for this tenant there is none"
    for entry in classes:
        for other in _excluded(entry.fallback, allowed, served):
            yield f"leaves out {quoted(other)}, the fallback of the class {entry.name}: for this tenant there is none"


def _excluded(fallback: FallbackSettings, allowed: tuple[str, ...], served: Served) -> list[str]:
    """Those that there are: of the others it is told where they stand."""
    there = (name for name in fallback.names if served is None or name in served)
    return [name for name in there if not may_use(allowed, name)]
