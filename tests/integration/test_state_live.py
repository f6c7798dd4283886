"""What is learned outlives a restart, as an operator sees it: option `state`, the log, the file."""

import json
import os
import time
from hashlib import sha256

import pytest

from tests.support.bed import backend_entry
from tests.support.patience import eventually

CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "a secret text"}], "stream": True}
KEY = [("authorization", "Bearer sk-a-secret-key"), ("x-fake", "stream 12 0.01")]


def serve(proxy, count=10):
    for _ in range(count):
        answer = proxy.ask("POST", "/v1/chat/completions", CHAT, KEY)
        assert answer.status == 200
        assert answer.complete


def config(engine, path, name="alpha"):
    return {"backends": [backend_entry(engine, name)], "state": str(path)}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.json"


def test_a_second_process_knows_what_the_first_learned(start_backend, start_proxy, path):
    engine = start_backend()
    first = start_proxy(config(engine, path))
    assert "is not there yet" in first.error_text
    serve(first)
    first.terminate()
    assert first.wait() == 0
    written = path.read_text()
    document = json.loads(written)
    assert len(document["backends"]["alpha"]["costs"]) == 18
    assert "secret" not in written
    assert os.listdir(path.parent) == ["state.json"]
    second = start_proxy(config(engine, path))
    assert "it knows 1 backends of these" in second.error_text
    assert second.stop() == 0
    assert json.loads(path.read_text())["backends"]["alpha"]["costs"] == pytest.approx(
        document["backends"]["alpha"]["costs"], rel=20
    )


def test_another_model_behind_the_url_is_learned_anew(start_backend, start_proxy, path):
    first_engine = start_backend()
    first = start_proxy(config(first_engine, path))
    serve(first)
    assert first.stop() == 0
    port = first_engine.port
    first_engine.stop()
    other = start_backend(models=("another-model",), port=port)
    second = start_proxy(config(other, path))
    assert second.stop() == 0
    assert "costs" not in json.loads(path.read_text())["backends"].get("alpha", {})


BROKEN = {
    "empty": b"",
    "cut": b'{"tidegate_state":1,"backends":{"alpha":{"eng',
    "newer": b'{"tidegate_state":2,"backends":[]}',
    "not a number": b'{"tidegate_state":1,"answers":[[NaN]]}',
    "nonsense": b'{"tidegate_state":1,"backends":{"alpha":{"engine":"x","costs":[-1]}},"answers":[[1]],"pools":7}',
    "others": b"version: 1\n",
}


@pytest.mark.parametrize("case", BROKEN)
def test_whatever_the_file_is_the_proxy_serves(start_backend, start_proxy, path, case):
    path.write_bytes(BROKEN[case])
    proxy = start_proxy(config(start_backend(), path))
    serve(proxy, 2)
    assert proxy.error_text.count(str(path)) >= 1
    assert proxy.stop() == 0
    if case == "others":
        assert path.read_bytes() == BROKEN[case]
    else:
        assert json.loads(path.read_text())["tidegate_state"] == 1


@pytest.mark.parametrize("name", ["", "missing/state.json"])
def test_wherever_it_is_the_proxy_serves(start_backend, start_proxy, tmp_path, name):
    proxy = start_proxy(config(start_backend(), tmp_path / name))
    assert "state" in proxy.error_text
    serve(proxy, 2)
    began = time.monotonic()
    assert proxy.stop() == 0
    assert time.monotonic() - began < 8.0


def test_a_backend_that_is_down_at_the_start(start_backend, start_proxy, path):
    alpha, beta = start_backend(), start_backend()
    both = {"backends": [backend_entry(alpha, "alpha"), backend_entry(beta, "beta")], "state": str(path)}
    first = start_proxy(both)
    serve(first, 20)
    assert first.stop() == 0
    before = json.loads(path.read_text())["backends"]
    port = beta.port
    beta.stop()
    second = start_proxy(both)
    eventually(lambda: "backend beta is down" in second.error_text, "beta away")
    assert second.stop() == 0
    assert json.loads(path.read_text())["backends"]["beta"] == before["beta"]
    assert port


def test_what_a_tenant_used_of_the_day_is_not_forgotten(start_backend, start_proxy, path):
    tenant = sha256(b"sk-a-secret-key").hexdigest()[:8]
    engine = start_backend()
    limited = {**config(engine, path), "tenants": [{"tenant": tenant, "tokens_per_day": 100_000}]}
    first = start_proxy(limited)
    serve(first, 2)
    assert first.stop() == 0
    ((whose, scope, day, used),) = json.loads(path.read_text())["days"]
    assert (whose, scope) == (tenant, "")
    assert used > 0
    if int(time.time() // 86_400) != day:
        pytest.skip("it is midnight")
    second = start_proxy(limited)
    answer = second.ask("POST", "/v1/chat/completions", CHAT, KEY)
    left = int(answer.head.get("x-ratelimit-remaining-day-tokens") or 0)
    assert left < 100_000 - used
    assert second.stop() == 0
