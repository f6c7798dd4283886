"""Who may come in, and what of a head reaches no engine."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest

from proxy.config.plain import read
from proxy.live.gate import MAX_KEY_B, Gate
from proxy.model.auth import AuthSettings
from proxy.model.faults import FaultError, Kind
from proxy.model.tenants import TenantSettings
from proxy.wire import identity
from proxy.wire.headers import Head
from tests.support.heads import head

GOOD, OLD, LONG = "tg-good", "tg-old", "k" * (MAX_KEY_B + 1)
HEADER = {"header": "x-user", "from": ["10.0.0.0/8", "fd00::1"]}
PEER, STRANGER = "10.1.2.3", "192.0.2.1"
NOW = 1_000_000.0


def digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


ENTRIES = [
    {
        "tenant": "team-a",
        "keys": [
            digest(GOOD),
            digest(LONG),
            {"digest": digest(OLD), "expires": "1970-01-02"},
            {"digest": digest("tg-young"), "expires": "2100-01-01"},
        ],
    }
]


def gate(entries: list[dict[str, Any]] | None = None, **auth: Any) -> Gate:
    tenants = [read(TenantSettings, entry) for entry in (ENTRIES if entries is None else entries)]
    return Gate(read(AuthSettings, auth), tenants, lambda: NOW)


def refused(where: Gate, asked: Head, peer: str = STRANGER) -> str:
    with pytest.raises(FaultError) as caught:
        where.admit(asked, peer)
    fault = caught.value.fault
    assert (fault.kind, fault.code) == (Kind.UNAUTHORIZED, "invalid_api_key")
    return fault.message


def names(asked: Head) -> set[str]:
    return {name.decode().lower() for name, _ in asked.forward}


@pytest.mark.parametrize("header", ["authorization", "x_api_key", "api_key"])
def test_a_key_lets_its_tenant_in(header: str) -> None:
    asked = head(accept="*/*", **{header: f"Bearer {GOOD}" if header == "authorization" else GOOD})
    gate(mode="keys").admit(asked, STRANGER)
    assert identity.tenant(asked) == "team-a"
    assert names(asked) == {"accept"}, "no key reaches an engine"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer "},
        {"authorization": "Bearer"},
        {"authorization": "Basic dGctZ29vZDo="},
        {"authorization": GOOD},
        {"authorization": "Bearer tg-goo"},
        {"authorization": "Bearer tg-goodd"},
        {"authorization": "Bearer TG-GOOD"},
        {"authorization": "Bearer \xe9\xff"},
        {"authorization": "Bearer " + "x" * 16_000},
        {"authorization": f"Bearer {digest(GOOD)}"},
        {"authorization": f"Bearer sha256:{digest(GOOD)}"},
        {"authorization": f"Bearer {LONG}"},
        {"authorization": f"Bearer {OLD}"},
        {"authorization": f"Bearer {GOOD},{GOOD}"},
        {"authorization": "Bearer wrong", "x_api_key": GOOD},
        {"x_user": "team-a"},
        {"cookie": GOOD},
    ],
)
def test_anything_else_does_not(headers: dict[str, str]) -> None:
    said = refused(gate(mode="keys"), head(**headers))
    assert not any(secret in said for secret in (GOOD, digest(GOOD)[:8], "team-a"))


def test_a_key_in_the_query_is_none() -> None:
    refused(gate(mode="keys"), head(target=f"/v1/chat/completions?api_key={GOOD}&key={GOOD}"))


def test_two_headers_of_one_name_are_no_key() -> None:
    refused(gate(mode="keys"), head(("x-api-key", "wrong"), ("X-Api-Key", GOOD)))


def test_a_key_that_has_expired_says_so_to_whoever_has_it() -> None:
    assert "expired" in refused(gate(mode="keys"), head(x_api_key=OLD))
    young = head(x_api_key="tg-young")
    gate(mode="keys").admit(young, STRANGER)
    assert young.tenant == "team-a"


@pytest.mark.parametrize(
    ("method", "target"),
    [("OPTIONS", "/v1/chat/completions"), ("GET", "/health"), ("GET", "/health/"), ("HEAD", "/health")],
)
def test_what_browsers_and_balancers_ask_needs_no_key(method: str, target: str) -> None:
    gate(mode="keys").admit(head(method=method, target=target), STRANGER)


@pytest.mark.parametrize(
    "target", ["/v1/models", "/nowhere", "/v1/embeddings", "/health/../v1/models", "/%00", "/metrics"]
)
def test_everything_else_does(target: str) -> None:
    refused(gate(mode="keys"), head(method="GET", target=target))


def test_where_nobody_is_asked_keys_pass_and_tell_clients_apart() -> None:
    for mode in ("off", "none"):
        free = gate([], mode=mode)
        assert free.is_open
        asked = head(authorization="Bearer sk-1")
        free.admit(asked, STRANGER)
        assert asked.tenant == ""
        assert names(asked) == {"authorization"}
        assert identity.tenant(asked) == digest("sk-1")[:8]


def test_where_nobody_is_asked_a_known_key_is_named_and_stays_here() -> None:
    free = gate(mode="none")
    known, other, old = (head(authorization=f"Bearer {key}") for key in (GOOD, "sk-1", OLD))
    for asked in (known, other, old):
        free.admit(asked, STRANGER)
    assert [one.tenant for one in (known, other, old)] == ["team-a", "", ""]
    assert names(known) == set()
    assert names(other) == {"authorization"}


@pytest.mark.parametrize(
    ("auth", "key", "passes"),
    [
        ({"mode": "keys", "forward_authorization": True}, GOOD, True),
        ({"mode": "none", "forward_authorization": True}, GOOD, True),
        ({"mode": "none", "forward_authorization": False}, "sk-1", False),
    ],
)
def test_the_operator_says_whether_keys_pass(auth: dict[str, Any], key: str, passes: bool) -> None:
    asked = head(authorization=f"Bearer {key}")
    gate(**auth).admit(asked, STRANGER)
    assert ("authorization" in names(asked)) is passes


@pytest.mark.parametrize("peer", [PEER, "fd00::1"])
def test_a_proxy_in_front_names_tenants(peer: str) -> None:
    asked = head(x_user="alice@example.com", authorization="Bearer of-the-front", x_team="t")
    gate([], **HEADER).admit(asked, peer)
    assert identity.tenant(asked) == "alice@example.com"
    assert names(asked) == {"x-team"}, "neither its header nor a credential goes on"


@pytest.mark.parametrize("peer", [STRANGER, "", "fd00::2", "11.1.2.3", "localhost"])
def test_nobody_else_does(peer: str) -> None:
    refused(gate([], **HEADER), head(x_user="alice"), peer)


@pytest.mark.parametrize(
    "more",
    [
        [("x-user", "admin"), ("X-User", "alice")],
        [("x-user", "admin,alice")],
        [("x-user", "")],
        [("x_user", "admin")],
        [("x-user", "a" * 257)],
        [],
    ],
)
def test_whoever_is_named_twice_or_not_at_all_is_nobody(more: list[tuple[str, str]]) -> None:
    refused(gate([], **HEADER), head(*more), PEER)


@pytest.mark.parametrize("said", ['a"b', "a b", "\xe9", "*", "sk-secret", "{}", "a\tb", "x" * 65])
def test_names_that_are_none_are_digits(said: str) -> None:
    asked = head(x_user=said)
    gate([], **HEADER).admit(asked, PEER)
    assert asked.tenant == sha256(said.encode("latin-1")).hexdigest()[:8]


def test_either_is_enough_where_both_are_asked_for() -> None:
    both = gate(mode="keys", **HEADER)
    for asked, peer, tenant in (
        (head(x_user="alice"), PEER, "alice"),
        (head(x_user="alice", x_api_key=GOOD), PEER, "alice"),
        (head(x_api_key=GOOD), PEER, "team-a"),
        (head(x_user="alice", x_api_key=GOOD), STRANGER, "team-a"),
    ):
        both.admit(asked, peer)
        assert asked.tenant == tenant
        assert names(asked) == set()
    refused(both, head(x_user="alice"), STRANGER)


def test_a_key_alone_is_not_enough_where_a_header_alone_is_asked_for() -> None:
    for peer in (PEER, STRANGER):
        refused(gate(**HEADER), head(x_api_key=GOOD), peer)
    refused(gate(**HEADER), head(x_user="alice", x_api_key=GOOD), STRANGER)


def test_a_header_of_a_stranger_never_reaches_an_engine() -> None:
    asked = head(("X-User", "admin"), ("x_user", "admin"), x_api_key=GOOD)
    gate(mode="keys", forward_authorization=True, **HEADER).admit(asked, STRANGER)
    assert "x-user" not in names(asked)
    assert "x_user" not in names(asked)


def test_a_key_that_is_taken_away_is_gone_at_once() -> None:
    where = gate(mode="keys")
    where.admit(head(x_api_key=GOOD), STRANGER)
    where.configure(read(AuthSettings, {"mode": "keys"}), [])
    refused(where, head(x_api_key=GOOD))


def test_questions_about_requests() -> None:
    where = gate(mode="keys")
    named, nobody = head(x_api_key=GOOD), head()
    where.recognise(named)
    where.recognise(nobody)
    assert (named.tenant, nobody.tenant) == ("team-a", "")
    with pytest.raises(FaultError):
        where.recognise(head(x_api_key="wrong"))
    gate([]).recognise(head(x_api_key="sk-1"))


def told(trust: Sequence[str], peer: str, header: str = "x-forwarded-for", **fields: str) -> list[bytes]:
    where = Gate(read(AuthSettings, {}), [], lambda: NOW, header, trust)
    asked = head(**fields)
    assert not where.is_open
    where.admit(asked, peer)
    return [value for name, value in asked.forward if name.lower() == header.encode()]


def test_engines_are_told_where_a_request_came_from() -> None:
    assert told([], "192.0.2.1") == [b"192.0.2.1"]
    assert told([], "192.0.2.1", "forwarded") == [b"for=192.0.2.1"]
    assert gate([]).is_open


def test_only_a_proxy_in_front_is_believed_about_others() -> None:
    assert told([], "192.0.2.1", x_forwarded_for="6.6.6.6") == [b"192.0.2.1"]
    assert told(["10.0.0.0/8"], "192.0.2.1", x_forwarded_for="6.6.6.6") == [b"192.0.2.1"]
    assert told(["10.0.0.0/8"], "10.1.1.1", x_forwarded_for="6.6.6.6") == [b"6.6.6.6, 10.1.1.1"]
    assert told(["10.0.0.0/8"], "10.1.1.1", x_forwarded_for="6.6.6.6", forwarded="for=7.7.7.7") == [
        b"6.6.6.6, 10.1.1.1"
    ]


def test_who_is_asked_for_a_key_is_asked_first_or_later_but_asked() -> None:
    where = Gate(
        read(AuthSettings, {"mode": "keys"}), [read(TenantSettings, e) for e in ENTRIES], lambda: NOW, "forwarded"
    )
    assert refused(where, head(accept="*/*"))
    asked = head(authorization=f"Bearer {GOOD}")
    where.admit(asked, STRANGER)
    assert asked.tenant
    assert "forwarded" in names(asked)
