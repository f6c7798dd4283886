"""Two listeners on one port, and backends that are the proxy itself."""

import pytest

from proxy.config.address import parse_address
from proxy.config.backend import BackendOptions
from proxy.config.console import ConsoleSettings
from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.listeners import is_loopback, listener_findings, nobody_knows, reaches


def found(listen: str, admin: str = "127.0.0.1:9090", *urls: str) -> list[Finding]:
    backends = {i: BackendOptions.model_validate({"url": url}) for i, url in enumerate(urls)}
    told = listener_findings({"listen": listen, "admin": admin}, backends)
    return [finding for finding in told if finding.severity is Severity.ERROR]


@pytest.mark.parametrize(
    ("listen", "admin", "collide"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", True),
        ("127.0.0.1:1", "127.0.0.1:2", False),
        ("127.0.0.1:1", "127.0.0.2:1", False),
        ("127.0.0.1:1", "localhost:1", True),
        ("0.0.0.0:1", "127.0.0.1:1", True),
        ("10.0.0.1:1", "0.0.0.0:1", True),
        ("0.0.0.0:1", "[::1]:1", False),
        ("[::]:1", "127.0.0.1:1", True),
        ("[::]:1", "0.0.0.0:1", True),
        ("0.0.0.0:0", "0.0.0.0:0", False),
        ("gpu1:1", "gpu1:1", True),
        ("gpu1:1", "gpu2:1", False),
    ],
)
def test_listeners_collide(listen: str, admin: str, collide: bool) -> None:
    assert [f.path for f in found(listen, admin)] == ([("admin",)] if collide else [])


@pytest.mark.parametrize(
    ("listen", "url", "loops"),
    [
        ("127.0.0.1:8080", "http://127.0.0.1:8080/v1", True),
        ("127.0.0.1:8080", "http://localhost:8080", True),
        ("127.0.0.1:8080", "http://127.1:8080", True),
        ("127.0.0.1:8080", "http://0.0.0.0:8080", True),
        ("127.0.0.1:8080", "http://[::ffff:127.0.0.1]:8080", True),
        ("127.0.0.1:8080", "http://127.0.0.2:8080", False),
        ("127.0.0.1:8080", "http://127.0.0.1:8081", False),
        ("127.0.0.1:8080", "http://10.0.0.1:8080", False),
        ("localhost:8080", "http://[::1]:8080", True),
        ("0.0.0.0:8080", "http://127.0.0.1:8080", True),
        ("0.0.0.0:8080", "http://127.9.9.9:8080", True),
        ("0.0.0.0:8080", "http://localhost:8080", True),
        ("0.0.0.0:8080", "http://[::1]:8080", False),
        ("0.0.0.0:8080", "http://gpu1:8080", False),
        ("[::]:8080", "http://127.0.0.1:8080", True),
        ("[::]:8080", "http://[::1]:8080", True),
        ("gpu1:8080", "http://GPU1:8080", True),
        ("127.0.0.1:80", "http://127.0.0.1", True),
        ("127.0.0.1:443", "https://127.0.0.1", True),
        ("127.0.0.1:0", "http://127.0.0.1:8080", False),
    ],
)
def test_a_backend_that_is_the_proxy(listen: str, url: str, loops: bool) -> None:
    told = found(listen, "127.0.0.1:9090", "http://other:1", url)
    assert [f.path for f in told] == ([("backends", 1, "url")] if loops else [])


def test_the_admin_port_is_no_backend() -> None:
    (told,) = found("127.0.0.1:8080", "127.0.0.1:9090", "http://127.0.0.1:9090")
    assert told.message == "is this proxy's own address (admin: 127.0.0.1:9090)"


@pytest.mark.parametrize(
    ("host", "wildcard", "own", "expected"),
    [
        ("10.0.0.1", "0.0.0.0:80", True, True),
        ("10.0.0.1", "0.0.0.0:80", False, False),
        ("gpu1", "[::]:80", True, True),
        ("fd00::1", "0.0.0.0:80", True, False),
        ("10.0.0.1", "10.0.0.2:80", True, False),
    ],
)
def test_own_addresses_behind_a_wildcard(host: str, wildcard: str, own: bool, expected: bool) -> None:
    target = parse_address(f"[{host}]:80" if ":" in host else f"{host}:80")
    assert reaches(target, parse_address(wildcard), lambda _: own) is expected
    assert not nobody_knows(host)


@pytest.mark.parametrize(("address", "warns"), [("0.0.0.0:1", True), ("[::]:1", True), ("10.0.0.1:1", False)])
@pytest.mark.parametrize("key", [None, "k"])
def test_every_network_is_warned_of(address: str, warns: bool, key: str | None) -> None:
    told = list(listener_findings({"admin": address, "admin_key": key}, {}))
    assert [(f.path, f.severity) for f in told] == ([(("admin",), Severity.WARNING)] if warns and key is None else [])


@pytest.mark.parametrize(("playground", "told"), [(True, True), (False, False), (None, False)])
def test_who_reaches_the_page_may_send_requests_where_that_is_allowed(playground: bool | None, told: bool) -> None:
    groups = {"admin": "0.0.0.0:9090", "console": ConsoleSettings(playground=playground)}
    (finding,) = listener_findings(groups, {})
    assert ("send requests" in finding.message) is told


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("gpu1", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
