"""The admin port: live, ready, metrics; only for hosts it knows."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.patience import eventually
from tests.support.raw_client import RawConnection, request_bytes

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}


def test_live_and_ready(proxy):
    assert proxy.admin("/livez").status == 200
    assert proxy.admin("/readyz").status == 200


@pytest.mark.parametrize("target", ["/v1/models", "/v1/chat/completions", "/nowhere"])
def test_nothing_else_is_there(proxy, target):
    assert proxy.admin(target).status == 404


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "localhost:9090", "[::1]"])
def test_hosts_that_are_ours(proxy, host):
    assert proxy.admin("/metrics", host).status == 200


@pytest.mark.parametrize("host", ["evil.test", "evil.test:9090", "127.0.0.1.evil.test", "localhost.evil.test", ""])
@pytest.mark.parametrize("target", ["/metrics", "/readyz", "/livez"])
def test_a_rebound_name_is_refused(proxy, target, host):
    answer = proxy.admin(target, host)
    assert answer.status in (400, 403, 421)
    assert b"tidegate_" not in answer.body


def test_metrics_parse_and_count(start_pair):
    _, proxy = start_pair()
    before = proxy.metrics()
    for _ in range(3):
        proxy.ask("POST", PATH, CHAT)
    proxy.ask("POST", PATH, {**CHAT, "stream": True})
    proxy.ask("POST", PATH, CHAT, [("x-fake", "status 500 broke")])
    proxy.ask("POST", PATH, {**CHAT, "model": "nobody"})
    proxy.ask("POST", "/v1/embeddings", {"model": "fake-model", "input": "x"})
    after = proxy.metrics()

    def counted(**labels) -> float:
        name = "tidegate_requests_total"
        return after.total(name, **labels) - before.total(name, **labels)

    assert counted(endpoint="chat.completions", backend="alpha", verdict="served") == 4
    assert counted(endpoint="chat.completions", backend="alpha", status="500") == 1
    assert counted(endpoint="chat.completions", backend="none", status="404") == 1
    assert counted(endpoint="embeddings", verdict="served", end_code="--") == 1
    assert after.total("tidegate_tokens_total", backend="alpha", direction="completion") == 4 * 7
    assert after.total("tidegate_ttft_seconds_count", endpoint="chat.completions") == 1
    assert after.total("tidegate_e2e_seconds_count", backend="alpha") == 6
    assert after.total("tidegate_backend_healthy", backend="alpha") == 1
    assert after.total("tidegate_backend_in_flight", backend="alpha") == 0
    assert after.total("tidegate_build_info") == 1
    assert after.total("process_resident_memory_bytes") > 0


def test_offered_is_served_shed_failed_and_cancelled(start_pair):
    engine, proxy = start_pair()
    proxy.ask("POST", PATH, CHAT)
    proxy.ask("POST", PATH, CHAT, [("x-fake", "reset")])
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, CHAT, [("x-fake", "hang")]))
        eventually(lambda: engine.open_requests == 1, "the hanging request")
    eventually(lambda: engine.open_requests == 0, "the abort")

    def verdicts() -> dict[str, float]:
        metrics = proxy.metrics()
        labels = {"endpoint": "chat.completions"}
        return {v: metrics.total("tidegate_requests_total", verdict=v, **labels) for v in VERDICTS}

    eventually(lambda: verdicts() == {"served": 1, "failed": 1, "cancelled": 1, "shed": 0}, "the verdicts")


VERDICTS = ("served", "shed", "failed", "cancelled")


def test_labels_come_from_closed_sets(start_pair):
    _, proxy = start_pair()
    for number in range(20):
        proxy.ask("POST", PATH, {**CHAT, "model": f"made-up-{number}"})
        proxy.ask("POST", f"/v1/made-up-{number}", CHAT)
        proxy.ask("GET", f"/made-up-{number}")
    text = proxy.metrics().text
    assert "made-up" not in text


def test_the_exposition_is_one(proxy):
    proxy.ask("POST", PATH, CHAT)
    families = {family.name: family for family in text_string_to_metric_families(proxy.metrics().text)}
    ours = {name: family for name, family in families.items() if name.startswith("tidegate_")}
    assert len(ours) > 10
    assert all(family.documentation for family in ours.values())
    assert {family.type for family in ours.values()} <= {"counter", "gauge", "histogram"}
    assert ours["tidegate_requests"].type == "counter"
    buckets = [sample for sample in ours["tidegate_e2e_seconds"].samples if sample.labels.get("le") == "+Inf"]
    assert buckets


def test_the_metrics_content_type_is_that_of_prometheus(proxy):
    answer = proxy.admin("/metrics")
    assert (answer.head.get("content-type") or "").startswith("text/plain; version=")


def test_the_data_port_and_the_admin_port_are_two(proxy):
    assert proxy.port != proxy.admin_port
    with RawConnection(proxy.address) as connection:
        connection.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.answer().status == 404
