"""Which addresses a machine has, and that a proxy on all of them is no backend of itself."""

import socket
from pathlib import Path

import pytest

from proxy.config.backend import BackendOptions
from proxy.config.surroundings import is_own_host, looking_around, looking_nowhere


def own_address() -> str | None:
    """An address of this machine beside loopback; None without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def test_names_and_addresses_of_this_machine() -> None:
    assert is_own_host(socket.gethostname().lower())
    assert is_own_host("127.0.0.1")
    assert not is_own_host("192.0.2.1")
    assert not is_own_host("a-name-of-somebody-else.invalid")
    assert not is_own_host("2001:db8::1")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_backend_at_an_own_address_behind_a_wildcard(elsewhere: bool) -> None:
    hosts = [socket.gethostname().lower(), own_address() or socket.gethostname().lower()]
    backends = {i: BackendOptions.model_validate({"url": f"http://{host}:8080"}) for i, host in enumerate(hosts)}
    groups = {"listen": "0.0.0.0:8080", "admin": "127.0.0.1:9090"}
    found = list(looking_around(Path(), elsewhere=elsewhere)(groups, backends))
    assert [f.path for f in found] == ([] if elsewhere else [("backends", 0, "url"), ("backends", 1, "url")])
    assert list(looking_nowhere(groups, backends)) == []


def test_what_is_found_without_the_machine_is_not_found_twice() -> None:
    backends = {0: BackendOptions.model_validate({"url": "http://127.0.0.1:8080"})}
    assert list(looking_around(Path(), elsewhere=False)({"listen": "0.0.0.0:8080"}, backends)) == []
