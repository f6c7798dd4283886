"""CORS headers."""

import pytest

from proxy.wire.cors import Cors

APP = "https://app.example.com"


def test_nothing_is_said_where_nothing_is_configured() -> None:
    assert Cors().headers(APP.encode()) == []
    assert Cors().preflight(APP.encode(), b"authorization") == []


def test_an_origin_of_the_list_and_another_one() -> None:
    cors = Cors([APP, "http://localhost:3000"], 600.0)
    told = dict(cors.headers(APP.encode()))
    assert told[b"access-control-allow-origin"] == APP.encode()
    assert told[b"vary"] == b"origin"
    exposed = told[b"access-control-expose-headers"].split(b", ")
    assert {b"x-request-id", b"retry-after", b"x-should-retry", b"x-tidegate-route"} <= set(exposed)
    for other in (b"https://evil.test", b"null", b"", APP.encode() + b".evil.test", APP.upper().encode()):
        assert cors.headers(other) == [(b"vary", b"origin")], "a cache must not mix the two up"
        assert cors.preflight(other, b"authorization") == []


def test_any_origin_never_with_credentials() -> None:
    cors = Cors(["*"], 600.0)
    told = dict(cors.headers(b"https://evil.test"))
    assert told[b"access-control-allow-origin"] == b"*"
    assert b"vary" not in told
    assert cors.headers(b"") == [], "not a browser"
    both = [*cors.headers(b"https://evil.test"), *cors.preflight(b"https://evil.test", b"authorization")]
    assert not any(name == b"access-control-allow-credentials" for name, _ in both)


@pytest.mark.parametrize(
    ("wanted", "allowed"),
    [
        (b"authorization,content-type,x-stainless-os", b"authorization, content-type, x-stainless-os"),
        (b"Authorization , X-API-Key", b"authorization, x-api-key"),
        (b"authorization, a b, \xff, " + b"x" * 65, b"authorization"),
        (b",".join(b"x-%d" % i for i in range(100)), b", ".join(b"x-%d" % i for i in range(64))),
        (b"", None),
        (b"\r\nx: y", None),
    ],
)
def test_a_preflight_allows_the_headers_it_asks_for(wanted: bytes, allowed: bytes | None) -> None:
    told = dict(Cors([APP], 600.0).preflight(APP.encode(), wanted))
    assert told.get(b"access-control-allow-headers") == allowed
    assert told[b"access-control-allow-methods"] == b"GET, POST"
    assert told[b"access-control-max-age"] == b"600"
