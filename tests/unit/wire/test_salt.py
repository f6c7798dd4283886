"""The salt of a tenant, and that nobody can use another one's."""

import json
from typing import Any

import orjson
import pytest

from proxy.wire.salt import salted

A, B = [(b"Authorization", b"Bearer a")], [(b"authorization", b"Bearer b")]


def said(body: bytes, headers: Any = A) -> dict[str, Any]:
    found: list[tuple[str, Any]] = []
    json.loads(salted(body, headers), object_pairs_hook=found.extend)
    assert [name for name, _ in found].count("cache_salt") == 1
    fields: dict[str, Any] = orjson.loads(salted(body, headers))
    return fields


def test_each_tenant_has_one_and_it_stays_the_same() -> None:
    assert said(b'{"model":"m"}')["cache_salt"] == said(b'{ "x": 1 }')["cache_salt"]
    assert said(b"{}", A)["cache_salt"] != said(b"{}", B)["cache_salt"]
    assert said(b"{}", [(b"X-Api-Key", b"a")])["cache_salt"] == said(b"{}", A)["cache_salt"]
    assert said(b"{}", [])["cache_salt"] == said(b"{}", [(b"accept", b"*/*")])["cache_salt"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"cache_salt":"theirs","model":"m"}',
        b'{"model":"m","cache_salt": "theirs" }',
        b'{"model":"m","cache\\u005fsalt":"theirs"}',
        b'{"cache_salt":"theirs","model":"m","cache_salt":["theirs"]}',
    ],
)
def test_the_clients_own_is_replaced_however_it_is_spelled(body: bytes) -> None:
    fields = said(body)
    assert fields["cache_salt"] == said(b"{}")["cache_salt"]
    assert fields["model"] == "m"


def test_the_rest_stays_as_it_came() -> None:
    assert salted(b'{"a" : {"cache_salt":1}}', A).endswith(b'"a" : {"cache_salt":1}}')
