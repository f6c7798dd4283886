"""Who may come in, compared with who could: listeners that others reach, keys that nobody has, headers of nobody.

Owns the rules between `auth`, `tenants` and `listen`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proxy.config.address import parse_address
from proxy.config.backend import BackendOptions
from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.listeners import is_loopback
from proxy.config.options import OptionPath
from proxy.config.refusal import did_you_mean, quoted
from proxy.config.written import written_moment
from proxy.model.auth import AuthSettings
from proxy.model.tenants import OTHERS, TenantSettings, is_digits

_SOON_S = 14 * 86_400.0


def auth_findings(
    auth: AuthSettings,
    tenants: Sequence[TenantSettings] | None,
    listen: str | None,
    backends: Mapping[int, BackendOptions],
) -> Iterator[Finding]:
    """What is wrong with `auth`, given the rest; `tenants`: None where they are not known."""
    has_keys = any(entry.keys for entry in tenants or ())
    yield from _header(auth)
    if auth.mode == "keys" and tenants is not None and not has_keys:
        hint = "`tidegate key new --tenant NAME` prints the lines to put below tenants"
        yield Finding(("auth",), "asks for keys, and no tenant has one: nobody could come in", hint)
    if listen is not None and not auth.asks and not is_loopback(parse_address(listen).host):
        yield _open(auth, listen, backends)
    if auth.mode == "none" and has_keys:
        message = "keys only tell tenants apart: whoever has none comes in too, since auth is none"
        yield Finding(("tenants",), message, "write auth: keys", Severity.WARNING)


def named_findings(tenants: Sequence[TenantSettings], auth: AuthSettings | None, routing: Any) -> Iterator[Finding]:
    """Tenants that nobody can be: of entries, rules and weights."""
    if auth is None or auth.header is not None:
        return
    known = {entry.tenant for entry in tenants if entry.keys}
    for index, entry in enumerate(tenants):
        yield from _nobody(("tenants", index, "tenant"), entry.tenant, known | {OTHERS}, auth)
    for index, rule in enumerate(routing.rules):
        for place, tenant in enumerate(rule.when.tenant):
            yield from _nobody(("routing", "rules", index, "when", "tenant", place), tenant, known, auth)
    for tenant in routing.fairness.weights:
        yield from _nobody(("routing", "fairness", "weights", tenant), tenant, known, auth)


def expiry_findings(tenants: Sequence[TenantSettings], now_s: float) -> Iterator[Finding]:
    """Keys that are refused by now, or will be soon; `now_s`: seconds since 1970."""
    for index, entry in enumerate(tenants):
        for place, key in enumerate(entry.keys):
            if key.expires is None or key.expires > now_s + _SOON_S:
                continue
            path: OptionPath = ("tenants", index, "keys", place, "expires")
            if key.expires <= now_s:
                yield Finding(path, "is past: the key is refused", "take it out", Severity.WARNING)
            else:
                hint = "`tidegate key new` makes the next one"
                yield Finding(path, f"is soon ({written_moment(key.expires)})", hint, Severity.NOTE)


def _header(auth: AuthSettings) -> Iterator[Finding]:
    if auth.header is not None and not auth.from_:
        hint = "write the addresses of the proxies in front: from: [10.0.0.5]"
        yield Finding(("auth", "from"), "is missing: the header would be believed from nobody", hint)
    if auth.from_ and auth.header is None:
        yield Finding(("auth", "from"), "has no meaning without header", "write header, or leave it out")
    if auth.header is not None and auth.mode == "none":
        message = "contradicts header, without which nobody may come in"
        yield Finding(("auth", "mode"), message, "leave one of the two out")


def _open(auth: AuthSettings, listen: str, backends: Mapping[int, BackendOptions]) -> Finding:
    keys = ", on your keys" if any(backend.api_key is not None for backend in backends.values()) else ""
    who = f"other machines reach {quoted(listen)}, and whoever does may use the backends{keys}: no API key is asked for"
    if auth.mode == "none":
        return Finding(("listen",), who, "as auth: none says", Severity.NOTE)
    hint = "write auth: none if that is meant (or serve --auth none), auth: keys with tenants, or listen on 127.0.0.1"
    return Finding(("listen",), who, hint)


def _nobody(path: OptionPath, tenant: str, known: set[str], auth: AuthSettings) -> Iterator[Finding]:
    if tenant in known or (not auth.asks and is_digits(tenant)):
        return
    if is_digits(tenant.lower()) and not auth.asks:
        message, hint = "names no tenant: digits of a digest are in small letters", f"write {tenant.lower()}"
    else:
        message = f"no key belongs to a tenant {quoted(tenant)}"
        near = did_you_mean(tenant, known)
        hint = f"{near} Else `tidegate key new`" if near else "`tidegate key new`"
        hint += " makes one, and its lines"
    yield Finding(path, message, hint, Severity.WARNING)
