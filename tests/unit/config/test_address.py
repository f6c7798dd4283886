"""host:port of the listeners."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", Address("127.0.0.1", 8080)),
        ("localhost:0", Address("localhost", 0)),
        ("0.0.0.0:65535", Address("0.0.0.0", 65535)),
        ("[::1]:8080", Address("::1", 8080)),
        ("[0:0:0:0:0:0:0:1]:80", Address("::1", 80)),
        ("127.1:80", Address("127.1", 80)),
        ("Proxy_1.internal:80", Address("proxy_1.internal", 80)),
    ],
)
def test_accepted(text: str, address: Address) -> None:
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("8080", "not host:port"),
        ("127.0.0.1", "not host:port"),
        (":8080", "the host is missing"),
        ("localhost:", "the port is missing"),
        ("localhost:http", "not a port number"),
        ("localhost:65536", "not between 0 and 65535"),
        ("localhost:-1", "not a port number"),
        ("localhost:٣", "not a port number"),
        ("::1:8080", "needs brackets"),
        ("[::1:8080", "not host:port"),
        ("[nonsense]:8080", "not an IPv6 address"),
        ("[fe80::1%eth0\n]:8080", "not an IPv6 address"),
        ("a b:80", "not a host name"),
        ("8080:8080", "not an IPv4 address"),
        ("256.0.0.1:80", "not an IPv4 address"),
        ("1.2.3.4.5:80", "not an IPv4 address"),
        ("http://localhost:80", "is a URL"),
    ],
)
def test_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_address(text)


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_refusal(text: str) -> None:
    try:
        address = parse_address(text)
    except ValueError:
        return
    assert parse_address(str(address)) == address
