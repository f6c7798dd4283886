"""Which request headers an operator may let through."""

import pytest
from pydantic import TypeAdapter, ValidationError

from proxy.config.forwarded import ForwardedHeader
from proxy.wire.headers import NEVER_FORWARDED, HeaderPolicy

ADAPTER = TypeAdapter(ForwardedHeader)


@pytest.mark.parametrize("text", ["x-team", "x-sim-*", "traceparent", "x-a.b", "content-language", "x*", "x-request-*"])
def test_accepted(text: str) -> None:
    assert ADAPTER.validate_python(text) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("connection", "belongs to one connection"),
        ("te", "belongs to one connection"),
        ("upgrade", "belongs to one connection"),
        ("transfer-encoding", "writes it itself"),
        ("content-length", "writes it itself"),
        ("host", "writes it itself"),
        ("authorization", "has its own rule"),
        ("proxy-authorization", "a secret between"),
        ("x-request-id", "sends it itself, once"),
        ("x-conversation-id", "go on generating"),
        ("cookie", "the client's secret"),
        ("*", "would take in"),
        ("co*", "would take in con"),
        ("auth*", "would take in authorization"),
        ("content-*", "would take in content-length"),
        ("X-Team", "lower case"),
        ("x team", "not a header name"),
        ("x-*-y", "not a header name"),
        ("x:y", "not a header name"),
        ("x\r\ny", "not a header name"),
        ("", "not a header name"),
        ("x" * 65, "not a header name"),
        ("ünïcode", "not a header name"),
    ],
)
def test_refused(text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ADAPTER.validate_python(text)


@pytest.mark.parametrize("name", sorted(NEVER_FORWARDED))
def test_what_the_wire_never_forwards_cannot_be_asked_for(name: bytes) -> None:
    with pytest.raises(ValidationError, match="cannot be forwarded"):
        ADAPTER.validate_python(name.decode())


@pytest.mark.parametrize("prefix", ["x*", "x-request-*", "x-conversation-*"])
def test_an_accepted_prefix_lets_none_of_them_through(prefix: str) -> None:
    policy = HeaderPolicy([ADAPTER.validate_python(prefix)])
    assert not [name for name in NEVER_FORWARDED if policy.allows(name)]
