"""Who asks, as a head says it."""

from hashlib import sha256

import pytest

from proxy.wire import identity
from tests.support.heads import head


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, b""),
        ({"authorization": "Bearer k"}, b"k"),
        ({"authorization": "bearer  k "}, b"k"),
        ({"x-api-key": "k"}, b"k"),
        ({"api-key": " k"}, b"k"),
        ({"authorization": "Bearer a", "x-api-key": "b", "api-key": "c"}, b"a"),
        ({"x-api-key": "b", "api-key": "c"}, b"b"),
        ({"authorization": "Basic YTpi", "x-api-key": "b"}, b"b"),
        ({"authorization": "Bearer ", "x-api-key": "b"}, b"b"),
        ({"authorization": "k"}, b""),
        ({"authorization": "Basic YTpi"}, b""),
        ({"proxy-authorization": "Bearer k", "cookie": "k"}, b""),
    ],
)
def test_the_first_key_that_is_there_counts_alone(headers: dict[str, str], key: bytes) -> None:
    assert identity.key({name.encode(): value.encode() for name, value in headers.items()}) == key


def test_a_key_in_the_query_is_none() -> None:
    assert identity.key(head(target="/v1/models?api_key=k&key=k").fields) == b""


def test_who_is_not_named_is_called_by_a_digest_of_the_key_however_it_is_sent() -> None:
    digest = sha256(b"sk-1").hexdigest()[:8]
    for headers in ({"authorization": "Bearer sk-1"}, {"authorization": "bearer  sk-1 "}, {"x_api_key": "sk-1"}):
        assert identity.tenant(head(**headers)) == digest
        assert identity.whose(head(**headers)) == sha256(b"sk-1").digest()
    assert identity.tenant(head(authorization="Bearer ")) == identity.tenant(head()) == ""
    assert identity.whose(head()) == b""


def test_a_named_tenant_is_one_whatever_key_it_shows() -> None:
    one, other = head(authorization="Bearer 1"), head(authorization="Bearer 2")
    one.tenant = other.tenant = "team-a"
    assert identity.tenant(one) == "team-a"
    assert identity.whose(one) == identity.whose(other)
    other.tenant = "team-b"
    assert identity.whose(one) != identity.whose(other)


def test_nobody_can_show_a_key_that_makes_them_a_tenant() -> None:
    named = head()
    named.tenant = "team-a"
    assert identity.whose(named) != identity.whose(head(authorization="Bearer team-a"))
