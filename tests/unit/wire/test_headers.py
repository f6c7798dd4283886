"""Request heads: what is refused though it is HTTP, and what of the rest reaches a backend."""

import pytest

from proxy.model.faults import Kind
from proxy.model.limits import HeadLimits
from proxy.wire.headers import NEVER_FORWARDED, HeaderPolicy
from tests.unit.wire.asking import HOST, fault_of, head_of


@pytest.mark.parametrize("version", ["0.9", "2.0", "1.2", "", "1"])
def test_other_versions_are_refused(version: str) -> None:
    assert fault_of(head_of, version=version).kind is Kind.MALFORMED


@pytest.mark.parametrize("method", [b"CONNECT", b"TRACE", b"post", b"PROPFIND", b""])
def test_other_methods_are_refused(method: bytes) -> None:
    assert fault_of(head_of, method=method).kind is Kind.METHOD


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_target_length(over: int) -> None:
    limits = HeadLimits()
    target = b"/v1/models/".ljust(limits.target + over, b"a")
    if over <= 0:
        assert head_of(target=target).target == target
    else:
        assert fault_of(head_of, target=target).kind is Kind.TARGET_TOO_LONG


def test_a_fragment_is_refused() -> None:
    assert fault_of(head_of, target=b"/v1/models#a").kind is Kind.MALFORMED


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_number_of_headers(over: int) -> None:
    headers = [(b"X-N", b"1")] * (HeadLimits().count - 1 + over)
    if over <= 0:
        head_of(*headers)
    else:
        assert fault_of(head_of, *headers).kind is Kind.HEAD_TOO_LARGE


HOSTS = [b"localhost", b"a.example:80", b"127.0.0.1:65535", b"[::1]", b"[2001:db8::1]:8080", b"under_score", b"A" * 255]


@pytest.mark.parametrize("host", HOSTS)
def test_host(host: bytes) -> None:
    assert head_of((b"Host", host), host=False).host == host


NOT_HOSTS = [
    b"",
    b" ",
    b"a/b@c",
    b"a, b",
    b"u@x",
    b"a b",
    b"a:",
    b"a:123456",
    b"a:x",
    b"[::1",
    b"::1",
    b"a\n",
    b"A" * 256,
]


@pytest.mark.parametrize("host", NOT_HOSTS)
def test_not_a_host(host: bytes) -> None:
    assert fault_of(head_of, (b"Host", host), host=False).kind is Kind.MALFORMED


def test_host_is_missing() -> None:
    assert fault_of(head_of, host=False).kind is Kind.MALFORMED
    assert head_of(host=False, version="1.0").host == b""


SINGLE = [b"Host", b"authorization", b"Content-Type", b"content-encoding", b"Transfer-Encoding", b"EXPECT"]


@pytest.mark.parametrize("name", SINGLE)
def test_what_may_come_only_once(name: bytes) -> None:
    fault = fault_of(head_of, (name, b"a"), (name.swapcase(), b"a"))
    assert fault.kind is Kind.MALFORMED
    assert name.lower().decode() in fault.message


@pytest.mark.parametrize("name", [b"Content_Length", b"transfer_encoding", b"Proxy_Connection", b"x_request_id"])
def test_underscores_that_imitate_framing(name: bytes) -> None:
    assert fault_of(head_of, (name, b"27")).kind is Kind.MALFORMED


def test_other_underscores_are_only_dropped() -> None:
    assert head_of((b"x_team", b"blue")).forward == []


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (b"gzip, chunked", Kind.TRANSFER_CODING),
        (b"identity", Kind.TRANSFER_CODING),
        (b"xchunked", Kind.TRANSFER_CODING),
        (b"chunked, identity", Kind.TRANSFER_CODING),
        (b", chunked", Kind.MALFORMED),
        (b"chunked,", Kind.MALFORMED),
        (b"", Kind.MALFORMED),
    ],
)
def test_transfer_codings(value: bytes, kind: Kind) -> None:
    assert fault_of(head_of, (b"Transfer-Encoding", value)).kind is kind


def test_chunked() -> None:
    head_of((b"Transfer-Encoding", b"Chunked"))
    assert fault_of(head_of, (b"Transfer-Encoding", b"chunked"), version="1.0").kind is Kind.MALFORMED


def test_expect() -> None:
    assert head_of((b"Expect", b"100-Continue")).expects_continue
    assert not head_of().expects_continue
    assert fault_of(head_of, (b"Expect", b"200-ok")).kind is Kind.EXPECTATION


@pytest.mark.parametrize("sane", [b"a", b"req_1.2:3/4+5=6@7-8", b"A" * 128])
def test_a_sane_request_id_is_kept(sane: bytes) -> None:
    assert head_of((b"X-Request-Id", sane)).request_id == sane.decode()


@pytest.mark.parametrize("bad", [b"", b"A" * 129, b"a b", b"a\r\nb", b"a\n", "é".encode(), b"<a>", b"a,b"])
def test_another_request_id_is_replaced(bad: bytes) -> None:
    assert head_of((b"X-Request-Id", bad)).request_id == "made-by-us"


def test_two_request_ids_are_none() -> None:
    assert head_of((b"X-Request-Id", b"a"), (b"X-Request-Id", b"b")).request_id == "made-by-us"


def test_what_sdks_say_of_their_patience() -> None:
    head = head_of((b"x-stainless-retry-count", b"2"), (b"x-stainless-read-timeout", b"600"))
    assert (head.client_attempt, head.client_timeout_s) == (2, 600.0)
    assert head_of((b"X-Stainless-Timeout", b"59.5")).client_timeout_s == 59.5
    both = head_of((b"X-Stainless-Timeout", b"60"), (b"X-Stainless-Read-Timeout", b"5"))
    assert both.client_timeout_s == 5.0


@pytest.mark.parametrize("value", [b"", b"-1", b"1e9", b"inf", b"nan", b"12345678", b"1,2", b"NOT_GIVEN"])
def test_patience_that_cannot_be_read(value: bytes) -> None:
    head = head_of((b"x-stainless-retry-count", value), (b"x-stainless-read-timeout", value))
    assert (head.client_attempt, head.client_timeout_s) == (0, None)


KEPT = [
    (b"Authorization", b"Bearer sk-1"),
    (b"OpenAI-Organization", b"org"),
    (b"OpenAI-Project", b"proj"),
    (b"traceparent", b"00-0af7-b7ad-01"),
    (b"X-Stainless-Lang", b"python"),
    (b"User-Agent", b"curl/8"),
    (b"Accept", b"*/*"),
]
DROPPED = [
    (b"Cookie", b"a=b"),
    (b"X-Forwarded-For", b"10.0.0.1"),
    (b"X-Real-IP", b"10.0.0.1"),
    (b"Forwarded", b"for=10.0.0.1"),
    (b"X-Api-Base", b"http://evil"),
    (b"Accept-Encoding", b"gzip"),
    (b"Upgrade", b"h2c"),
    (b"Range", b"bytes=0-1"),
    (b"If-None-Match", b"x"),
    (b"Proxy-Authorization", b"Basic x"),
    (b"X-Conversation-Id", b"1"),
]


def test_the_allow_list_keeps_spelling_and_order() -> None:
    mixed = [header for pair in zip(KEPT, DROPPED, strict=False) for header in pair]
    assert head_of(*mixed, *DROPPED).forward == KEPT


def test_bytes_above_ascii_never_pass() -> None:
    assert head_of((b"User-Agent", "ü".encode()), (b"User-Agent", b"\xff")).forward == []


@pytest.mark.parametrize("connection", [[b"close, Traceparent"], [b"traceparent"], [b"TraceParent", b"close"]])
def test_what_connection_names_ends_here(connection: list[bytes]) -> None:
    lines = [(b"Connection", value) for value in connection]
    assert head_of(*KEPT, *lines).forward == [header for header in KEPT if header[0] != b"traceparent"]


@pytest.mark.parametrize("value", [b"close, authorization", b"authorization", b"x-api-key, Authorization"])
def test_a_key_cannot_be_named_away(value: bytes) -> None:
    keys = [(b"Authorization", b"Bearer a"), (b"X-Api-Key", b"a")]
    assert head_of(*keys, (b"Connection", value)).forward == keys


def test_the_operator_can_add_headers() -> None:
    policy = HeaderPolicy(["X-Team", "x-sim-*"])
    added = [(b"X-Team", b"a"), (b"X-Sim-Delay", b"b")]
    assert head_of(*added, (b"X-Teams", b"c"), policy=policy).forward == added


@pytest.mark.parametrize(
    "policy", [HeaderPolicy(sorted(name.decode() for name in NEVER_FORWARDED)), HeaderPolicy(["*"])]
)
def test_nobody_can_add_what_must_never_pass(policy: HeaderPolicy) -> None:
    assert [name for name in NEVER_FORWARDED if policy.allows(name)] == []


def test_the_rest_of_a_head() -> None:
    head = head_of((b"Content-Encoding", b" GZIP "), (b"Origin", b"https://a"), (b"Content-Type", b"a/b; c=d"))
    assert (head.content_encoding, head.origin, head.content_type) == (b"gzip", b"https://a", b"a/b; c=d")
    assert (head.method, head.host) == ("POST", HOST[1])
