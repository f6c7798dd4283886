"""Who may ask the admin port."""

from base64 import b64encode

import pytest

from proxy.live.guard import Guard
from tests.support.heads import head


def basic(key: str, name: str = "me") -> str:
    return "Basic " + b64encode(f"{name}:{key}".encode()).decode()


@pytest.mark.parametrize("peer", ["10.0.0.1", "172.17.0.1", "", "nowhere", "::2"])
@pytest.mark.parametrize(
    ("method", "path", "may"),
    [
        ("GET", "/metrics", True),
        ("HEAD", "/status", True),
        ("POST", "/explain", True),
        ("POST", "/cache/bump", False),
        ("POST", "/reload", False),
        ("POST", "/anything/new", False),
        ("PUT", "/metrics", False),
    ],
)
def test_without_a_key_only_this_machine_changes_anything(method: str, path: str, peer: str, may: bool) -> None:
    guard = Guard("")
    assert guard.lets_in(head(method=method), path, peer) is may
    assert all(guard.lets_in(head(method=method), path, own) for own in ("127.0.0.1", "127.8.8.8", "::1"))
    assert guard.refusal().status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer key"},
        {"authorization": basic("key")},
        {"authorization": basic("key", "")},
        {"x_tidegate_admin_key": "key"},
        {"x_tidegate_admin_key": "key", "authorization": "Bearer other"},
    ],
)
def test_with_its_key_everything_may_be_done_from_anywhere(headers: dict[str, str]) -> None:
    for method, path in (("GET", "/metrics"), ("POST", "/reload")):
        assert Guard("key").lets_in(head(method=method, **headers), path, "10.0.0.1")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer "},
        {"authorization": "Bearer ke"},
        {"authorization": "Bearer \xff"},
        {"authorization": basic("kez")},
        {"authorization": "Basic key"},
        {"authorization": "Basic \xff="},
        {"authorization": "Basic " + b64encode(b"key").decode()},
        {"x_tidegate_admin_key": ""},
        {"x_tidegate_admin_key": "no", "authorization": "Bearer key"},
        {"cookie": "key"},
    ],
)
def test_with_a_key_all_but_the_probes_ask_for_it(headers: dict[str, str]) -> None:
    guard = Guard("key")
    for path, may in (("/livez", True), ("/readyz", True), ("/metrics", False), ("/", False), ("/explain", False)):
        assert guard.lets_in(head(method="GET", **headers), path, "127.0.0.1") is may
    refusal = guard.refusal()
    assert refusal.status == 401
    assert [value.split()[0] for _, value in refusal.headers] == [b"Bearer", b"Basic"], "browsers ask people"


def test_the_key_goes_no_further() -> None:
    for shown in ({"authorization": "Bearer key"}, {"authorization": basic("key")}, {"x_api_key": "key"}):
        asked = head(**shown)
        assert Guard("key").lets_in(asked, "/explain", "10.0.0.1")
        assert not {b"authorization", b"x-api-key"} & set(asked.fields)
        assert not {b"authorization", b"x-api-key"} & {name.lower() for name, _ in asked.forward}


def test_the_key_of_a_request_in_question_stays() -> None:
    asked = head(authorization="Bearer tg-1", x_tidegate_admin_key="key")
    assert Guard("key").lets_in(asked, "/explain", "10.0.0.1")
    assert asked.fields[b"authorization"] == b"Bearer tg-1"
