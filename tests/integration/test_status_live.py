"""The admin port's status, events, decisions and playground over sockets; the page itself: `tests/page`."""

import json
import socket
import time
import urllib.error
import urllib.request

import pytest

from tests.support.bed import backend_entry
from tests.support.patience import eventually
from tests.support.raw_client import RawConnection, request_bytes

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "a secret of mine"}]}


def status(proxy):
    return proxy.admin("/status").json()


def admin(proxy, method, target, body=None, headers=()):
    """One request to the admin port, by the address that it has."""
    data = request_bytes(method, target, body, list(headers))
    with RawConnection(("127.0.0.1", proxy.admin_port)) as connection:
        connection.send(data.replace(b"Host: proxy.test", b"Host: 127.0.0.1:%d" % proxy.admin_port))
        return connection.answer()


class Events:
    """What a viewer is told, event by event."""

    def __init__(self, proxy) -> None:
        self._answer = urllib.request.urlopen(f"{proxy.admin_url}/events", timeout=5.0)

    def next(self) -> tuple[str, dict]:
        fields = {}
        while not ("event" in fields and "data" in fields):
            line = self._answer.readline().decode().rstrip("\n")
            if ": " in line:
                name, _, value = line.partition(": ")
                fields[name] = value
        return fields["event"], json.loads(fields["data"])

    def close(self) -> None:
        self._answer.close()


def test_every_number_is_that_of_the_metrics_at_rest(start_pair):
    _, proxy = start_pair(config={"classes": [{"name": "chats", "slo": {"ttft": "1ms"}}]})
    for _ in range(3):
        proxy.ask("POST", PATH, {**CHAT, "stream": True})
    proxy.ask("POST", PATH, CHAT, [("x-tidegate-class", "chats")])
    proxy.ask("POST", PATH, {**CHAT, "stream": True}, [("x-tidegate-class", "chats"), ("x-fake", "stream 5 0.01")])
    proxy.ask("POST", PATH, CHAT, [("x-fake", "status 500 broke")])
    eventually(lambda: status(proxy)["decisions_seq"] == 6, "six decisions")
    shown, metrics = status(proxy), proxy.metrics()
    assert shown["totals"]["in_flight"] == shown["totals"]["held"] == 0
    for name, lane in shown["classes"].items():
        labels = {"class": name}
        ended = lane.get("ended", {})
        assert sum(ended.values()) == metrics.total("tidegate_slo_requests_total", **labels)
        for result, count in ended.items():
            assert count == metrics.total("tidegate_slo_requests_total", result=result, **labels)
        assert lane.get("goodput_tokens", 0) == metrics.total("tidegate_goodput_tokens_total", **labels)
        assert lane.get("throughput_tokens", 0) == metrics.total("tidegate_throughput_tokens_total", **labels)
    assert shown["classes"]["chats"]["missed"] == {"ttft": 1}
    backend, labels = shown["backends"]["alpha"], {"backend": "alpha"}
    for name in ("in_flight", "decoding", "kv_used_tokens", "slowness", "learned_tpot_seconds", "ttft_samples"):
        assert backend[name.replace("_seconds", "_s")] == metrics.total(f"tidegate_backend_{name}", **labels)


def test_a_status_tells_no_words_of_anybody(start_pair):
    _, proxy = start_pair()
    proxy.ask("POST", PATH, CHAT, [("authorization", "Bearer sk-very-secret")])
    eventually(lambda: status(proxy)["decisions_seq"] == 1, "the decision")
    told = proxy.admin("/status").body + proxy.admin("/decisions?seq=1").body
    assert b"secret" not in told
    assert proxy.admin("/decisions?seq=1").json()["tenant"]


def test_a_decision_and_what_would_become_of_it_now(start_pair):
    _, proxy = start_pair()
    answer = proxy.ask("POST", PATH, CHAT, [("x-request-id", "mine-1")])
    assert answer.status == 200
    told = eventually(lambda: found(proxy, "/decisions?id=mine-1"), "the decision")
    assert told["backend"] == "alpha"
    assert abs(sum(stage["s"] for stage in told["stages"]) - told["e2e_s"]) < 1e-9
    assert told["explain"]["outcome"] == "dispatch"
    assert told["explain"]["candidates"][0]["backend"] == "alpha"
    assert proxy.admin("/decisions?seq=999").status == 404


def found(proxy, target):
    answer = proxy.admin(target)
    return answer.json() if answer.status == 200 else None


def test_events_follow(start_pair):
    _, proxy = start_pair()
    events = Events(proxy)
    name, first = events.next()
    assert (name, first["decisions_seq"], first["decisions"]) == ("status", 0, [])
    proxy.ask("POST", PATH, CHAT)
    for _ in range(4):
        name, change = events.next()
        assert name == "change"
        if "decisions" in change:
            break
    assert [one["seq"] for one in change["decisions"]] == [1]
    assert change["totals"]["finished"] == 1
    assert "alpha" not in change.get("backends", {}) or "pool" not in change["backends"]["alpha"]
    events.close()


@pytest.mark.slow
def test_a_hundred_viewers_and_no_more_and_none_that_takes_nothing_stays(start_pair):
    _, proxy = start_pair(config={"limits": {"connections": {"write_stall": "2s"}}})
    viewers = [Events(proxy) for _ in range(100)]
    with pytest.raises(urllib.error.HTTPError) as refused:
        Events(proxy)
    assert refused.value.code == 503
    refused.value.close()
    assert proxy.admin("/livez").status == 200
    assert proxy.admin("/metrics").status == 200
    for viewer in viewers:
        assert viewer.next()[0] == "status"
        viewer.close()
    eventually(lambda: has_room(proxy), "room for a viewer")


def has_room(proxy) -> bool:
    try:
        Events(proxy).close()
    except urllib.error.HTTPError as refused:
        refused.close()
        return False
    return True


def test_the_playground_is_the_data_port(start_pair):
    engine, proxy = start_pair()
    answer = admin(proxy, "POST", f"/play{PATH}", CHAT, [("origin", f"http://127.0.0.1:{proxy.admin_port}")])
    assert answer.status == 200
    assert (answer.head.get("x-tidegate-route") or "").startswith("backend=alpha")
    assert answer.head.get("x-request-id") != "admin"
    assert len(engine.requests) == 1
    assert admin(proxy, "GET", "/play/v1/models").json()["data"][0]["id"] == "fake-model"
    assert admin(proxy, "POST", f"/play{PATH}", {**CHAT, "model": "nobody"}).status == 404
    assert proxy.log_line(answer.head.get("x-request-id"))["status"] == 200


def test_a_backend_by_its_name(start_backend, start_proxy):
    backends = [backend_entry(start_backend(), name) for name in ("alpha", "beta")]
    proxy = start_proxy({"backends": backends})
    for name in ("alpha", "beta"):
        for _ in range(3):
            answer = admin(proxy, "POST", f"/play{PATH}", CHAT, [("x-tidegate-backend", name)])
            assert f"backend={name};" in (answer.head.get("x-tidegate-route") or "")
    assert admin(proxy, "POST", f"/play{PATH}", CHAT, [("x-tidegate-backend", "nobody")]).status >= 400
    routes = [proxy.ask("POST", PATH, CHAT, [("x-tidegate-backend", "beta")]) for _ in range(6)]
    assert {(answer.head.get("x-tidegate-route") or "").split(";")[0] for answer in routes} != {"backend=beta"}


@pytest.mark.parametrize("origin", ["http://evil.test", "null", "http://127.0.0.1:1", "https://evil.test:443"])
@pytest.mark.parametrize("target", [f"/play{PATH}", "/explain", "/cache/bump"])
def test_pages_of_others_may_not_post(proxy, target, origin):
    assert admin(proxy, "POST", target, CHAT, [("origin", origin)]).status == 403


@pytest.mark.parametrize(("config", "status"), [({}, 200), ({"playground": False}, 403), ({"playground": True}, 200)])
def test_the_playground_may_be_off(start_pair, config, status):
    _, proxy = start_pair(config={"console": config})
    assert admin(proxy, "POST", f"/play{PATH}", CHAT).status == status
    assert proxy.admin("/status").json()["playground"] is (status == 200)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("tidegate.llm.svc", 200),
        ("TIDEGATE.llm.svc:9090", 200),
        ("a.b.example.com", 200),
        ("example.com", 403),
        ("evil-example.com", 403),
        ("tidegate.llm.svc.evil.test", 403),
        ("xtidegate.llm.svc", 403),
    ],
)
def test_names_that_the_operator_lists(start_pair, host, status):
    _, proxy = start_pair(config={"console": {"hosts": ["tidegate.llm.svc", "*.example.com"]}})
    assert proxy.admin("/metrics", host).status == status


def test_a_viewer_that_leaves_at_once_leaves_nothing(start_pair):
    _, proxy = start_pair()
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", proxy.admin_port)) as raw:
            raw.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with RawConnection(("127.0.0.1", proxy.admin_port)) as connection:
        connection.send(b"HEAD /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        time.sleep(0.05)
