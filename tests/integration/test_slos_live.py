"""Service level objectives as an operator sees them: metrics, the admin port, a restart, and a real Prometheus."""

import json
import os

import pytest

from proxy.cli.main import main
from tests.support.bed import backend_entry
from tests.support.patience import eventually
from tests.support.prometheus import needs_prometheus, prometheus_server

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "a secret text"}]}
STREAM = {**CHAT, "stream": True}
KEY = ("authorization", "Bearer sk-a-secret-key")
SLOS = [
    {"name": "chat", "class": "interactive", "objective": "99.5%", "ttft": "400ms"},
    {"name": "quick", "class": "interactive", "objective": "90%", "ttft": "30s", "e2e": "30s", "window": "1h"},
    {"name": "other", "class": "interactive", "model": "nobody", "objective": "90%"},
    {"name": "bulk", "class": "bulk", "objective": "90%"},
]
OPTIONS = {"slos": SLOS, "retries": {"attempts": 1}}


def ask(proxy, body, script, *headers):
    return proxy.ask("POST", PATH, body, [("x-fake", script), KEY, *headers])


def traffic(proxy):
    """14 good ones, a late first token, 3 failures; two wrong ones, and a client that leaves."""
    for _ in range(7):
        assert ask(proxy, STREAM, "stream 3 0").status == 200
        assert ask(proxy, CHAT, "slow 0").status == 200
    assert ask(proxy, STREAM, "slow 0.6").status == 200
    for script in ("status 500 broke", "reset", "stream-then 2 reset"):
        ask(proxy, STREAM if "then" in script else CHAT, script)
    assert proxy.ask("POST", PATH, {**CHAT, "messages": 7}, [KEY]).status in (200, 400)
    assert ask(proxy, CHAT, "status 400 wrong").status == 400
    assert ask(proxy, {**CHAT, "model": "nowhere"}, "slow 0").status == 404
    with proxy.connect() as connection:
        body = json.dumps(STREAM).encode()
        head = f"POST {PATH} HTTP/1.1\r\nhost: a\r\nx-fake: hang\r\ncontent-length: {len(body)}\r\n\r\n"
        connection.send(head.encode() + body)
        eventually(lambda: proxy.metrics().total("tidegate_backend_in_flight") == 1, "a request that hangs")
    eventually(lambda: proxy.metrics().total("tidegate_requests_total", verdict="cancelled") == 1, "it has left")


def shown(proxy):
    return {one["name"]: one for one in json.loads(proxy.admin("/slo").body)["slos"]}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.slo.sqlite"


def test_metrics_and_the_admin_port_say_the_same(start_pair):
    _, proxy = start_pair(config=OPTIONS)
    assert shown(proxy)["chat"]["events"] == 0
    traffic(proxy)
    metrics, told = proxy.metrics(), shown(proxy)
    good = metrics.total("tidegate_slo_good_events_total", slo="chat")
    events = metrics.total("tidegate_slo_events_total", slo="chat")
    assert metrics.total("tidegate_slo_bad_events_total", slo="chat", reason="failed") == 3
    assert metrics.total("tidegate_slo_bad_events_total", slo="chat", reason="ttft") >= 1
    assert metrics.total("tidegate_slo_bad_events_total", slo="quick", reason="failed") == 3
    assert metrics.total("tidegate_slo_bad_events_total", slo="quick") == 3
    assert events == good + metrics.total("tidegate_slo_bad_events_total", slo="chat")
    assert events in (18, 19)  # an engine may take the odd message, a wrong request is none
    assert told["chat"]["events"] == events
    assert told["chat"]["attainment"] == metrics.total("tidegate_slo_attainment_ratio", slo="chat") == good / events
    assert told["chat"]["alert"] == "page"
    assert told["quick"]["burn_rates"]["5m"] == pytest.approx((3 / events) / 0.1)
    assert told["quick"]["alert"] is None
    for name in ("other", "bulk"):
        assert told[name]["events"] == 0
        assert told[name]["error_budget_left"] == 1


def test_refusals_are_bad_and_the_quota_of_a_tenant_is_its_own(start_backend, start_proxy):
    engine = start_backend()
    config = {
        "backends": [backend_entry(engine, "alpha", max_concurrency=1)],
        "slos": [SLOS[3]],
        "hold": {"max_wait": "100ms"},
        "routing": {"tenants": [{"tenant": "*", "requests_per_minute": 3}], "default_model": "fake-model"},
    }
    proxy = start_proxy(config, models=1)
    bulk = ("x-tidegate-class", "bulk")
    with proxy.connect() as connection:
        body = json.dumps(CHAT).encode()
        head = f"POST {PATH} HTTP/1.1\r\nhost: a\r\nx-fake: hang\r\nx-tidegate-class: interactive\r\n"
        connection.send(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        eventually(lambda: proxy.metrics().total("tidegate_backend_in_flight") == 1, "a request that hangs")
        assert ask(proxy, CHAT, "slow 0", bulk).status >= 429
    eventually(lambda: proxy.metrics().total("tidegate_backend_in_flight") == 0, "the engine is free")
    statuses = [ask(proxy, CHAT, "slow 0", bulk).status for _ in range(5)]
    assert statuses.count(429) >= 2
    metrics = proxy.metrics()
    assert metrics.total("tidegate_slo_bad_events_total", slo="bulk", reason="refused") == 1
    assert metrics.total("tidegate_slo_bad_events_total", slo="bulk") == 1
    assert metrics.total("tidegate_slo_good_events_total", slo="bulk") == statuses.count(200)


def test_a_restart_forgets_nothing(start_backend, start_proxy, path):
    engine = start_backend()
    config = {"backends": [backend_entry(engine, "alpha")], **OPTIONS, "slo_state": str(path)}
    first = start_proxy(config, models=1)
    traffic(first)
    before = shown(first)
    assert first.stop() == 0
    assert os.listdir(path.parent) == [path.name]
    assert b"secret" not in path.read_bytes()
    second = start_proxy(config, models=1)
    after = shown(second)
    for name, one in before.items():
        for what in ("events", "bad_events", "attainment", "error_budget_left"):
            assert after[name][what] == one[what], (name, what)
    assert after["chat"]["since_start"]["good"] == 0
    assert second.metrics().total("tidegate_slo_events_total", slo="chat") == 0
    ask(second, CHAT, "slow 0")
    assert shown(second)["chat"]["events"] == before["chat"]["events"] + 1


def test_beside_the_state_file_unless_told_otherwise(start_backend, start_proxy, tmp_path):
    engine = start_backend()
    config = {"backends": [backend_entry(engine, "alpha")], **OPTIONS, "state": str(tmp_path / "state.json")}
    assert start_proxy(config, models=1).stop() == 0
    assert sorted(os.listdir(tmp_path)) == ["state.json", "state.slo.sqlite"]


def test_a_file_of_no_use_is_said_once(start_backend, start_proxy, path):
    path.write_text("somebody else's notes, longer than nothing")
    engine = start_backend()
    config = {"backends": [backend_entry(engine, "alpha")], **OPTIONS, "slo_state": str(path)}
    proxy = start_proxy(config, models=1)
    assert ask(proxy, CHAT, "slow 0").status == 200
    assert shown(proxy)["chat"]["events"] == 1
    assert proxy.stop() == 0
    assert proxy.error_text.count("cannot be used") == 1
    assert path.read_text().startswith("somebody")


def test_without_objectives_there_is_nothing(start_pair):
    _, proxy = start_pair()
    assert json.loads(proxy.admin("/slo").body) == {"slos": []}
    assert not proxy.metrics().has("tidegate_slo_events_total")


@needs_prometheus
def test_a_real_prometheus_says_what_the_proxy_says(start_pair, tmp_path, capsys):
    _, proxy = start_pair(config=OPTIONS)
    assert main(["slo", "rules", str(proxy.config_path)]) == 0
    rules = capsys.readouterr().out
    with prometheus_server(tmp_path, proxy.admin_port, rules) as prometheus:
        traffic(proxy)
        metrics = proxy.metrics()
        events = metrics.total("tidegate_slo_events_total", slo="chat")
        for name, recorded in {
            "tidegate_slo_attainment_ratio": "slo:tidegate_slo_attainment:ratio",
            "tidegate_slo_error_budget_left_ratio": "slo:tidegate_slo_error_budget_left:ratio",
            "tidegate_slo_objective_ratio": "slo:tidegate_slo_objective:ratio",
        }.items():
            for slo in ("chat", "quick"):
                said = metrics.total(name, slo=slo)
                expression = f'{recorded}{{slo="{slo}"}}'
                eventually(lambda: _near(prometheus.value(expression), said), f"{expression} of {said}", 15.0)  # noqa: B023
        assert prometheus.value('sum(tidegate_slo_events_total{slo="chat"})') == events
        for window in ("5m", "30m", "1h", "2h", "6h", "1d", "3d"):
            burn = metrics.total("tidegate_slo_burn_rate", slo="chat", window=window)
            ratio = prometheus.value(f'slo:tidegate_slo_errors:ratio_rate{window}{{slo="chat"}}')
            assert _near(ratio / 0.005, burn), window
        pages = {("chat", window) for window in ("1h", "6h", "1d", "3d")}  # `quick` burns at 1.7, over one hour
        eventually(lambda: _firing(prometheus) == pages, "the alerts of chat alone", 15.0)


def _near(value, said):
    return value is not None and abs(value - said) <= 1e-6 * max(abs(said), 1)


def _firing(prometheus):
    return {
        (alert["labels"]["slo"], alert["labels"]["long_window"])
        for alert in prometheus.alerts()
        if alert["state"] == "firing"
    }
