"""Who may come in, compared with who could."""

from typing import Any

import pytest

from proxy.config.auth import auth_findings, expiry_findings, named_findings
from proxy.config.backend import BackendOptions
from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.plain import read
from proxy.config.schema import RoutingSettings
from proxy.model.auth import AuthSettings
from proxy.model.tenants import TenantSettings

KEYED = {"tenant": "team-a", "keys": ["1" * 64]}
HEADER = {"header": "x-user", "from": ["10.0.0.5"]}


def tenants(*entries: dict[str, Any]) -> list[TenantSettings]:
    return [read(TenantSettings, entry) for entry in entries]


def found(auth: dict[str, Any], *entries: dict[str, Any], listen: str = "127.0.0.1:1") -> list[Finding]:
    return list(auth_findings(read(AuthSettings, auth), tenants(*entries), listen, {}))


@pytest.mark.parametrize(
    ("auth", "listen", "severity"),
    [
        ({}, "127.0.0.1:1", None),
        ({}, "[::1]:1", None),
        ({}, "0.0.0.0:1", Severity.ERROR),
        ({}, "[::]:1", Severity.ERROR),
        ({}, "10.0.0.1:1", Severity.ERROR),
        ({}, "gpu1:1", Severity.ERROR),
        ({"mode": "none"}, "0.0.0.0:1", Severity.NOTE),
        ({"mode": "none"}, "127.0.0.1:1", None),
        ({"mode": "keys"}, "0.0.0.0:1", None),
        (HEADER, "0.0.0.0:1", None),
    ],
)
def test_who_is_reached_by_others_says_whom_it_lets_in(
    auth: dict[str, Any], listen: str, severity: Severity | None
) -> None:
    told = found(auth, *([KEYED] if auth.get("mode") == "keys" else []), listen=listen)
    assert [(f.path, f.severity) for f in told] == ([] if severity is None else [(("listen",), severity)])
    assert all("auth: none" in f.hint for f in told)


def test_it_is_said_whose_keys_are_used() -> None:
    backends = {0: BackendOptions.model_validate({"url": "http://a", "api_key": "k"})}
    (told,) = auth_findings(AuthSettings(), (), "0.0.0.0:1", backends)
    assert "on your keys" in told.message


@pytest.mark.parametrize(
    ("auth", "entries", "path"),
    [
        ({"mode": "keys"}, [{"tenant": "team-a"}], ("auth",)),
        ({"mode": "keys"}, [KEYED], None),
        ({"header": "x-user"}, [], ("auth", "from")),
        ({"from": ["10.0.0.5"]}, [], ("auth", "from")),
        ({"mode": "none", **HEADER}, [], ("auth", "mode")),
        ({"mode": "keys", **HEADER}, [KEYED], None),
        ({"mode": "none"}, [KEYED], ("tenants",)),
        ({"mode": "off"}, [KEYED], None),
    ],
)
def test_what_contradicts_itself(
    auth: dict[str, Any], entries: list[dict[str, Any]], path: tuple[str, ...] | None
) -> None:
    assert [f.path for f in found(auth, *entries)] == ([] if path is None else [path])


@pytest.mark.parametrize(
    ("auth", "name", "hint"),
    [
        ({}, "team-a", ""),
        ({}, "abcdef01", ""),
        ({}, "team-b", "tidegate key new"),
        ({}, "ABCDEF01", "abcdef01"),
        ({"mode": "keys"}, "abcdef01", "tidegate key new"),
        ({"mode": "keys"}, "team-a", ""),
        (HEADER, "anybody", ""),
    ],
)
def test_tenants_that_nobody_can_be(auth: dict[str, Any], name: str, hint: str) -> None:
    rules = [{"when": {"tenant": [name]}, "class": "bulk"}]
    routing = read(RoutingSettings, {"rules": rules, "fairness": {"weights": {name: 2}}})
    entries = tenants(KEYED, *([] if name == "team-a" else [{"tenant": name}]), {"tenant": "*"})
    told = list(named_findings(entries, read(AuthSettings, auth), routing))
    paths = [
        ("tenants", 1, "tenant"),
        ("routing", "rules", 0, "when", "tenant", 0),
        ("routing", "fairness", "weights", name),
    ]
    assert [f.path for f in told] == (paths if hint else [])
    assert all(hint in f.hint and f.severity is Severity.WARNING for f in told)


@pytest.mark.parametrize(
    ("expires", "severity"),
    [
        (None, None),
        ("2027-01-01", Severity.WARNING),
        ("2027-01-02", Severity.NOTE),
        ("2027-01-15", Severity.NOTE),
        ("2027-01-16", None),
    ],
)
def test_keys_that_are_refused_or_soon_will_be(expires: str | None, severity: Severity | None) -> None:
    entry = {"tenant": "a", "keys": ["1" * 64, {"digest": "2" * 64, "expires": expires}]}
    told = list(expiry_findings(tenants(entry), 1798761600.0))  # 2027-01-01
    path = ("tenants", 0, "keys", 1, "expires")
    assert [(f.path, f.severity) for f in told] == ([] if severity is None else [(path, severity)])
