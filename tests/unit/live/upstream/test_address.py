"""Where a backend is, and which of its limits are its own."""

from pathlib import Path
from typing import Any

import pytest

from proxy.config.schema import Config
from proxy.live.upstream.address import SocketAddress, address_of
from tests.support.certificates import self_signed


def address(limits: Any = None, **entry: Any) -> SocketAddress:
    entries = [{"name": "alpha", "url": "http://engine.example", **entry}]
    config = Config.model_validate({"version": 1, "backends": entries, "limits": {"upstream": limits or {}}})
    return address_of(config.backends[0], config.limits.upstream)


@pytest.mark.parametrize(
    ("url", "host", "port", "authority", "prefix"),
    [
        ("http://engine", "engine", 80, b"engine", ""),
        ("http://engine:80/v1", "engine", 80, b"engine", ""),
        ("http://engine:81/under/v1/", "engine", 81, b"engine:81", "/under"),
        ("https://engine", "engine", 443, b"engine", ""),
        ("https://engine:80", "engine", 80, b"engine:80", ""),
        ("http://[::1]:8000", "::1", 8000, b"[::1]:8000", ""),
    ],
)
def test_urls(url: str, host: str, port: int, authority: bytes, prefix: str) -> None:
    found = address(url=url)
    assert (found.host, found.port, found.authority, found.prefix) == (host, port, authority, prefix)
    assert (found.tls is not None) == url.startswith("https:")


@pytest.mark.parametrize("name", ["connect", "first_byte", "idle"])
def test_what_a_backend_says_goes_before_what_holds_for_all(name: str) -> None:
    field = f"{name}_s"
    assert getattr(address({name: "9s"}), field) == 9.0
    assert getattr(address({name: "9s"}, **{name: "2s"}), field) == 2.0


def test_a_key_is_there_or_not() -> None:
    assert address().api_key is None
    assert address(api_key="sk-ours").api_key == "sk-ours"


def test_a_ca_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        address(url="https://engine", tls={"ca_file": "/nowhere/ca.pem"})


def test_two_that_are_made_of_the_same_are_the_same(tmp_path: Path) -> None:
    def secured(**tls: Any) -> SocketAddress:
        return address(url="https://engine", tls=tls)

    assert secured() == secured()
    assert secured() != secured(verify=False)
    one, other = (self_signed(tmp_path, name, name, "DNS:engine", ca=True) for name in ("one", "other"))
    file = tmp_path / "ca.pem"
    file.write_bytes(one.path.read_bytes())
    before = secured(ca_file=str(file))
    assert before == secured(ca_file=str(file)) != secured()
    file.write_bytes(other.path.read_bytes())
    assert before != secured(ca_file=str(file)), "the name is the same, what is in it is not"


def test_where_an_address_is_written_host_and_certificate_keep_the_name() -> None:
    made = address(url="https://vllm.llm:8000", ip="fd00::7")
    assert (made.ip, made.host, made.port, made.authority) == ("fd00::7", "vllm.llm", 8000, b"vllm.llm:8000")
