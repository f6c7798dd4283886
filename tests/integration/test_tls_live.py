"""TLS towards clients: the official client through it, certificates that change, and whoever speaks something else."""

import http.client
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest

from tests.integration.test_reload_process import CHAT, PATH, messages, post, write
from tests.support.bed import backend_entry
from tests.support.certificates import Authority, Certificate
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess

QUICK = {"settle": "50ms"}
UNTIL_2040 = 2_208_988_800.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def engine(start_backend: Any) -> Any:
    return start_backend()


@pytest.fixture
def one(authority: Authority) -> Certificate:
    return authority.certificate("one", "DNS:localhost,IP:127.0.0.1")


def config(engine: Any, shown: Certificate | None, **more: Any) -> dict[str, Any]:
    tls = {} if shown is None else {"cert": str(shown.path), "key": str(shown.key)}
    return {"backends": [backend_entry(engine, "alpha")], "tls": {**tls, **more}, "reload": QUICK}


def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority.own.path))


def shaken(proxy: ProxyProcess, context: ssl.SSLContext) -> ssl.SSLSocket:
    raw = socket.create_connection(proxy.address, 5.0)
    return context.wrap_socket(raw, server_hostname="localhost")


def name_shown(proxy: ProxyProcess, authority: Authority) -> str:
    with shaken(proxy, trusting(authority)) as connection:
        fields = connection.getpeercert() or {}
        return dict(pair for part in fields["subject"] for pair in part)["commonName"]


def started(start_proxy: Any, *arguments: Any) -> ProxyProcess:
    """The bed asks over plain HTTP whether it is ready: it begins so, and goes over to TLS."""
    engine, shown, *more = arguments
    proxy: ProxyProcess = start_proxy(config(engine, None))
    write(proxy, config(engine, shown, **(more[0] if more else {})))
    status, told = post(proxy, "/reload")
    assert status == 200, told
    return proxy


def test_the_official_client(start_proxy: Any, engine: Any, authority: Authority, one: Certificate) -> None:
    proxy = started(start_proxy, engine, one)
    with httpx2.Client(verify=trusting(authority)) as http_client:
        base = f"https://localhost:{proxy.port}/v1"
        client = openai.OpenAI(base_url=base, api_key="any", http_client=http_client, max_retries=0)
        whole = client.chat.completions.create(model="fake-model", messages=CHAT["messages"])
        assert whole.choices[0].message.content
        stream = client.chat.completions.create(model="fake-model", messages=CHAT["messages"], stream=True)
        assert "".join(event.choices[0].delta.content or "" for event in stream if event.choices)
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="nobody", messages=CHAT["messages"])
    untrusting = openai.OpenAI(base_url=base, api_key="any", max_retries=0)
    with pytest.raises(openai.APIConnectionError):
        untrusting.models.list()


def test_a_large_answer_and_a_large_body_arrive_whole(
    start_proxy: Any, engine: Any, authority: Authority, one: Certificate
) -> None:
    proxy = started(start_proxy, engine, one)
    big = {**CHAT, "messages": [{"role": "user", "content": "x" * (3 << 20)}]}
    connection = http.client.HTTPSConnection("localhost", proxy.port, context=trusting(authority), timeout=20.0)
    for _ in range(3):
        connection.request("POST", PATH, json.dumps(big), {"content-type": "application/json"})
        answer = connection.getresponse()
        assert (answer.status, json.loads(answer.read())["object"]) == (200, "chat.completion")
    assert len(engine.requests[-1].body) > 3 << 20
    connection.close()


def test_plain_http_is_told_so_and_nonsense_is_closed(
    start_proxy: Any, engine: Any, authority: Authority, one: Certificate
) -> None:
    proxy = started(start_proxy, engine, one)
    answer = proxy.ask("GET", "/v1/models")
    assert answer.status == 400
    assert answer.json()["error"]["code"] == "tls_required"
    for nonsense in (b"\x16\x03\x01nonsense", b"\x16", b"", b"\x00" * 100):
        with socket.create_connection(proxy.address, 5.0) as raw:
            raw.sendall(nonsense)
            raw.shutdown(socket.SHUT_WR)
            raw.settimeout(5.0)
            while raw.recv(1 << 16):
                pass
    assert name_shown(proxy, authority) == "one"


def test_a_certificate_that_changes_is_shown_to_those_who_come(
    start_proxy: Any, engine: Any, authority: Authority, one: Certificate
) -> None:
    proxy = started(start_proxy, engine, one)
    two = authority.certificate("two", "DNS:localhost,IP:127.0.0.1", ends="20400101000000Z")
    assert proxy.metrics().total("tidegate_certificate_ends_timestamp_seconds") > UNTIL_2040
    old = http.client.HTTPSConnection("localhost", proxy.port, context=trusting(authority), timeout=20.0)
    body = json.dumps({**CHAT, "stream": True})
    old.request("POST", PATH, body, {"content-type": "application/json", "x-fake": "stream 60 0.05"})
    answer = old.getresponse()
    first = answer.read(10)
    for old_file, new_file in ((one.key, two.key), (one.path, two.path)):
        old_file.write_bytes(new_file.read_bytes())  # as certbot does, the key before its certificate
    eventually(lambda: name_shown(proxy, authority) == "two", "the new certificate", 6.0)
    assert proxy.metrics().total("tidegate_certificate_ends_timestamp_seconds") == UNTIL_2040
    assert (first + answer.read()).endswith(b"data: [DONE]\n\n"), "the old connection goes on"
    old.request("GET", "/v1/models")
    assert old.getresponse().status == 200
    old.close()


def test_a_certificate_that_is_wrong_leaves_the_old_one(
    start_proxy: Any, engine: Any, authority: Authority, one: Certificate
) -> None:
    proxy = started(start_proxy, engine, one)
    other = authority.certificate("two", "DNS:localhost")
    good = one.key.read_bytes()
    one.key.write_bytes(other.key.read_bytes())
    said = "tls.key: the private key does not belong to the certificate"
    eventually(lambda: any(said in line for line in messages(proxy)), "it is said", 5.0)
    assert name_shown(proxy, authority) == "one"
    assert proxy.metrics().total("tidegate_config_last_reload_successful") == 0
    one.key.write_bytes(good)
    eventually(lambda: proxy.metrics().total("tidegate_config_last_reload_successful"), "it is good again", 5.0)


def test_versions_and_protocols(start_proxy: Any, engine: Any, authority: Authority, one: Certificate) -> None:
    proxy = started(start_proxy, engine, one)
    context = trusting(authority)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with shaken(proxy, context) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with shaken(proxy, context) as connection:
        assert connection.version() == "TLSv1.2"
    write(proxy, config(engine, one, min_version="1.3"))
    assert post(proxy, "/reload")[0] == 200
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shaken(proxy, context)
    assert name_shown(proxy, authority) == "one"


def test_the_admin_port_speaks_it_where_that_is_wanted(
    start_proxy: Any, engine: Any, authority: Authority, one: Certificate
) -> None:
    proxy = started(start_proxy, engine, one, {"admin": True})
    context = trusting(authority)
    admin = http.client.HTTPSConnection("localhost", proxy.admin_port, context=context, timeout=5.0)
    admin.request("GET", "/readyz")
    assert admin.getresponse().read() == b"ok\n"
    write(proxy, config(engine, None))
    admin.request("POST", "/reload")
    assert admin.getresponse().status == 200
    admin.close()
    assert proxy.ask("GET", "/v1/models").status == 200, "and back to plain HTTP"
    assert proxy.admin("/readyz").status == 200


def test_whoever_says_nothing_holds_nobody_up(
    start_proxy: Any, engine: Any, authority: Authority, one: Certificate
) -> None:
    proxy = started(start_proxy, engine, one)
    silent = [socket.create_connection(proxy.address, 5.0) for _ in range(300)]
    try:
        assert name_shown(proxy, authority) == "one"
    finally:
        for connection in silent:
            connection.close()
    write(proxy, config(engine, None))
    assert post(proxy, "/reload")[0] == 200
