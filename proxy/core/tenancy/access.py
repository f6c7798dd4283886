"""Which models a tenant may ask for; for it, there are no others."""

from collections.abc import Iterable

from proxy.core.tenancy.classify import names
from proxy.model.tenants import OTHERS, TenantSettings

Patterns = tuple[str, ...] | None
"""Names, or beginnings of names and `*`; None: every model."""


class Permitted:
    """Read once from the configuration."""

    def __init__(self, tenants: Iterable[TenantSettings] = ()) -> None:
        entries = {entry.tenant: entry.models for entry in tenants}
        self._others = entries.pop(OTHERS, None)
        self._named = entries
        self._any = self._others is not None or any(models is not None for models in entries.values())

    def of(self, tenant: str) -> Patterns:
        """What `tenant` may ask for."""
        return self._named.get(tenant, self._others) if self._any else None


def may_use(patterns: Patterns, model: str, also: tuple[str, ...] = ()) -> bool:
    """Whether `model` is among them, under this name or another one of its."""
    if patterns is None or any(names(pattern, model) for pattern in patterns):
        return True
    return any(names(pattern, other) for pattern in patterns for other in also)
