"""What an operator writes about a backend: alias, key, path prefix, any model, default model, certificate."""

import json
import shutil
import ssl
import subprocess

import pytest

from tests.support.bed import backend_entry
from tests.support.patience import eventually
from tests.support.raw_client import request_bytes

PATH = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "x"}]
CHAT = {"model": "fake-model", "messages": MESSAGES}


@pytest.fixture(scope="module")
def aliased(bed):
    with bed.backend() as engine:
        entry = backend_entry(engine, "alpha", aliases={"public": "fake-model", "short": "fake-model"})
        with bed.proxy({"backends": [entry]}) as proxy:
            yield engine, proxy


BIG = b"1" + b"0" * 30
BODIES = {
    "plain": b'{"model":@,"messages":[{"role":"user","content":"x"}]}',
    "nested and odd spacing": (
        b'{ "messages" : [ {"role":"user","content":"x","model":"public"} ] ,\n "model"\t: @ , "x":{"model":"public"} }'
    ),
    "inside a string": (
        b'{"messages":[{"role":"user","content":"\\"model\\":\\"public\\""}],"a":"model","model":@,"seed":' + BIG + b"}"
    ),
    "first and nested later": b'{"model":@,"z":[{"model":"public"}],"messages":[{"role":"user","content":"public"}]}',
}
"""Where the at-sign stands, the client writes the alias."""


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_an_alias_changes_the_model_value_and_nothing_else(aliased, body):
    engine, proxy = aliased
    assert proxy.ask("POST", PATH, body.replace(b"@", b'"public"')).status == 200
    assert engine.requests[-1].body == body.replace(b"@", b'"fake-model"')


TRICKY = {
    "a repeated key": b'{"model":"nobody","messages":[{"role":"user","content":"x"}],"model":"public"}',
    "an escaped key": b'{"mod\\u0065l":"public","messages":[{"role":"user","content":"x"}]}',
    "an escaped value": b'{"model":"publi\\u0063","messages":[{"role":"user","content":"x"}]}',
    "an escaped repeated key": b'{"model":"public","messages":[{"role":"user","content":"x"}],"mod\\u0065l":"short"}',
}


@pytest.mark.parametrize("sent", TRICKY.values(), ids=TRICKY.keys())
def test_the_engine_reads_the_model_we_routed_by_however_it_is_written(aliased, sent):
    engine, proxy = aliased
    assert proxy.ask("POST", PATH, sent).status == 200
    body = engine.requests[-1].json()
    assert body["model"] == "fake-model"
    assert body["messages"] == MESSAGES
    assert engine.requests[-1].header("content-length") == str(len(engine.requests[-1].body))


def test_a_form_names_the_engines_own_model_too(aliased):
    engine, proxy = aliased
    form = (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\x00public\r\n'
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n@\r\n--x--\r\n'
    )
    headers = [("content-type", "multipart/form-data; boundary=x")]
    answer = proxy.ask("POST", "/v1/audio/transcriptions", form.replace(b"@", b"public"), headers)
    assert answer.status == 200
    assert engine.requests[-1].body == form.replace(b"@", b"fake-model")
    assert engine.requests[-1].header("content-length") == str(len(engine.requests[-1].body))
    twice = form.replace(b"--x--", form[:-7].partition(b"RIFF\x00public\r\n")[2] + b"--x--")
    assert proxy.ask("POST", "/v1/audio/transcriptions", twice, headers).status == 400


def test_the_engines_own_name_still_works_and_both_are_listed(aliased):
    _, proxy = aliased
    assert proxy.ask("POST", PATH, CHAT).status == 200
    listed = {model["id"] for model in proxy.ask("GET", "/v1/models").json()["data"]}
    assert {"public", "short", "fake-model"} <= listed


@pytest.mark.parametrize("stream", [False, True])
def test_a_backends_key_replaces_the_clients(start_backend, start_proxy, stream):
    engine = start_backend()
    entry = backend_entry(engine, "alpha", api_key="${TIDEGATE_TEST_KEY}")
    proxy = start_proxy({"backends": [entry]}, env={"TIDEGATE_TEST_KEY": "sk-upstream"})
    for headers in ([("authorization", "Bearer sk-client")], [], [("connection", "close, authorization")]):
        assert proxy.ask("POST", PATH, {**CHAT, "stream": stream}, headers).status == 200
        assert engine.requests[-1].head.all("authorization") == ["Bearer sk-upstream"]
    assert {probe.header("authorization") for probe in engine.probes} == {"Bearer sk-upstream"}
    assert "sk-upstream" not in json.dumps(proxy.log) + proxy.error_text + proxy.metrics().text


def test_a_path_prefix_stands_before_every_route(start_backend, start_proxy):
    engine = start_backend()
    good = engine.default

    async def under_a_prefix(exchange):
        target = exchange.request.target
        assert target.startswith("/engines/a/v1/"), target
        exchange.request.head.start = exchange.request.head.start.replace("/engines/a", "", 1)
        await good(exchange)

    engine.default = under_a_prefix
    proxy = start_proxy({"backends": [{"name": "alpha", "url": f"{engine.url}/engines/a/"}]})
    assert proxy.ask("POST", PATH, CHAT).status == 200
    assert proxy.ask("POST", "/v1/other/thing?x=1", CHAT).json()["target"] == "/v1/other/thing?x=1"
    assert all(b" /engines/a/v1/" in request.raw_head for request in engine.received)


def test_any_model_takes_every_name(start_backend, start_proxy):
    engine = start_backend()
    proxy = start_proxy({"backends": [backend_entry(engine, "alpha", models="any")]}, models=0)
    for name in ("whatever", "org/thing:7b", "日本"):
        assert proxy.ask("POST", PATH, {**CHAT, "model": name}).status == 200
        assert engine.requests[-1].json()["model"] == name


def test_a_default_model_serves_who_names_none(start_backend, start_proxy):
    engine = start_backend(models=("one", "two"))
    config = {"backends": [backend_entry(engine, "alpha")], "routing": {"default_model": "two"}}
    proxy = start_proxy(config, models=2)
    assert proxy.ask("POST", PATH, {"messages": MESSAGES, "model": "one"}).status == 200
    assert proxy.ask("POST", "/v1/moderations", {"input": "x"}).status == 200
    assert proxy.ask("GET", "/v1/anything").status == 200


def test_each_model_goes_where_it_is_served(start_backend, start_proxy):
    small, large = start_backend(models=("small",)), start_backend(models=("large",))
    proxy = start_proxy({"backends": [backend_entry(small, "s"), backend_entry(large, "l")]}, models=2)
    for _ in range(4):
        for name in ("small", "large"):
            assert proxy.ask("POST", PATH, {**CHAT, "model": name}).status == 200
    assert {request.json()["model"] for request in small.requests} == {"small"}
    assert {request.json()["model"] for request in large.requests} == {"large"}


# ------------------------------------------------------------------------------------------------ https


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-made certificate for 127.0.0.1, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@pytest.fixture
def tls_engine(start_backend, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return start_backend(tls=context)


def test_an_https_backend_with_its_own_authority(tls_engine, certificate, start_proxy):
    entry = backend_entry(tls_engine, "alpha", tls={"ca_file": str(certificate[0])})
    proxy = start_proxy({"backends": [entry]})
    assert proxy.ask("POST", PATH, CHAT).status == 200
    assert proxy.ask("POST", PATH, {**CHAT, "stream": True}).complete
    assert len({request.connection for request in tls_engine.requests}) == 1


def test_an_https_backend_nobody_vouches_for_is_not_talked_to(tls_engine, start_proxy):
    proxy = start_proxy({"backends": [backend_entry(tls_engine, "alpha", models=["fake-model"])]})
    answer = proxy.ask("POST", PATH, CHAT)
    assert answer.status in (502, 503)
    assert not tls_engine.received


def test_verification_can_be_switched_off(tls_engine, start_proxy):
    proxy = start_proxy({"backends": [backend_entry(tls_engine, "alpha", tls={"verify": False})]})
    assert proxy.ask("POST", PATH, CHAT).status == 200


def test_a_client_that_leaves_frees_an_https_backend(tls_engine, certificate, start_proxy):
    proxy = start_proxy({"backends": [backend_entry(tls_engine, "alpha", tls={"ca_file": str(certificate[0])})]})
    with proxy.connect() as connection:
        connection.send(request_bytes("POST", PATH, {**CHAT, "stream": True}, [("x-fake", "stream 1000 0.02")]))
        connection.answer_head()
    request = tls_engine.wait_for_request()
    eventually(lambda: request.aborted_at, "the engine freed", 1.0)
