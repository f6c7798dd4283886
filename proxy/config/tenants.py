"""Entries of tenants that contradict each other, or the models there are.

Owns the comparison; what a tenant may use is applied by `core.permitted` and `core.quotas`.
"""

from collections.abc import Iterable, Iterator, Sequence

from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.options import OptionPath
from proxy.config.refusal import did_you_mean, quoted
from proxy.core.tenancy.access import may_use
from proxy.core.tenancy.classify import names
from proxy.model.classes import ClassSettings
from proxy.model.fallback import FallbackSettings, ModelSettings
from proxy.model.tenants import OTHERS, TenantSettings, is_tenant

Served = set[str] | None
"""Every name that a backend takes; None: not known."""


def tenant_findings(
    tenants: Sequence[TenantSettings],
    served: Served,
    default_model: str | None,
    models: Sequence[ModelSettings],
    classes: Sequence[ClassSettings],
) -> Iterator[Finding]:
    """What is wrong with the entries of tenants."""
    first: dict[str, int] = {}
    for index, entry in enumerate(tenants):
        path: OptionPath = ("routing", "tenants", index)
        other = first.setdefault(entry.tenant, index)
        if other != index:
            message = f"{quoted(entry.tenant)} has an entry already: routing.tenants[{other}]"
            yield Finding((*path, "tenant"), message, "put all of its limits into one")
        if entry.models is not None:
            yield from _unserved((*path, "models"), entry.models, served)
            left_out = _left_out(entry.models, default_model, models, classes)
            for message in dict.fromkeys(left_out):
                hint = "add it, if this tenant may have it"
                yield Finding((*path, "models"), message, hint, Severity.WARNING)


def weight_findings(weights: Iterable[str]) -> Iterator[Finding]:
    """Weights of what no tenant can be called."""
    for tenant in weights:
        if not is_tenant(tenant) or tenant == OTHERS:
            path: OptionPath = ("routing", "fairness", "weights", tenant)
            message = "names no tenant: they are called by the first 8 hex digits of the SHA-256 of their API key"
            yield Finding(path, message, _digest_hint(tenant))


def _digest_hint(tenant: str) -> str:
    if tenant == OTHERS:
        return "leave it out: the others have 1"
    if is_tenant(tenant.lower()):
        return f"write {tenant.lower()}, in small letters"
    return 'take it from the metrics, or of: printf %s "$API_KEY" | sha256sum'


def _unserved(path: OptionPath, patterns: Sequence[str], served: Served) -> Iterator[Finding]:
    if served is None:
        return
    missing = [place for place, pattern in enumerate(patterns) if not any(names(pattern, name) for name in served)]
    nothing = len(missing) == len(patterns)
    for place in missing:
        message = f"no backend serves {quoted(patterns[place])}{', so that nothing is left for it' if nothing else ''}"
        hint = did_you_mean(patterns[place], served)
        yield Finding((*path, place), message, hint, Severity.ERROR if nothing else Severity.WARNING)


def _left_out(
    patterns: Sequence[str],
    default_model: str | None,
    models: Sequence[ModelSettings],
    classes: Sequence[ClassSettings],
) -> Iterator[str]:
    allowed = tuple(patterns)
    if default_model is not None and not may_use(allowed, default_model):
        yield f"leaves out {quoted(default_model)}, which requests get that name no model: they are refused"
    for model in models:
        if may_use(allowed, model.name):
            for other in _excluded(model.fallback, allowed):
                yield f"leaves out {quoted(other)}, the fallback of {quoted(model.name)}: for this tenant there is none"
    for entry in classes:
        for other in _excluded(entry.fallback, allowed):
            yield f"leaves out {quoted(other)}, the fallback of the class {entry.name}: for this tenant there is none"


def _excluded(fallback: FallbackSettings, allowed: tuple[str, ...]) -> list[str]:
    return [name for name in fallback.names if not may_use(allowed, name)]
