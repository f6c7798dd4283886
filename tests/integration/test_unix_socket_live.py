"""An engine on a Unix socket: asked as any other one, and missed as any other one."""

import pytest

from proxy.cli.main import main
from tests.support.bed import backend_entry
from tests.support.patience import eventually

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}


@pytest.fixture
def socket(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "engine.sock"  # short enough for a socket's path


def test_it_is_asked_probed_and_named(bed, start_proxy, socket):
    with bed.backend(path=str(socket)) as engine:
        entry = {key: value for key, value in backend_entry(engine, "").items() if key != "name"}
        proxy = start_proxy({"backends": [entry]})
        for stream in (False, True):
            answer = proxy.ask("POST", PATH, {**CHAT, "stream": stream})
            assert answer.status == 200
            assert "backend=engine" in answer.head.get("x-tidegate-route")
        assert engine.requests[-1].header("host") == "localhost"
        assert proxy.ask("GET", "/v1/models").json()["data"][0]["id"] == "fake-model"


def test_it_goes_and_comes_back(bed, start_proxy, socket):
    with bed.backend(path=str(socket)) as engine:
        proxy = start_proxy(
            {"backends": [backend_entry(engine, "alpha", models=["fake-model"])], "hold": {"max_wait": "200ms"}}
        )
        assert proxy.ask("POST", PATH, CHAT).status == 200
        engine.stop()
        socket.unlink(missing_ok=True)
        assert proxy.ask("POST", PATH, CHAT).status == 503
        engine.start()
        eventually(lambda: proxy.ask("POST", PATH, CHAT).status == 200, "it is found again", within_s=15)


@pytest.mark.parametrize("kind", ["file", "missing"])
def test_a_path_where_no_engine_listens_is_said(start_proxy, socket, kind, capsys):
    if kind == "file":
        socket.write_text("not a socket")
    entry = {"name": "alpha", "url": f"unix:{socket}", "models": ["fake-model"]}
    proxy = start_proxy({"backends": [entry], "hold": {"max_wait": "200ms"}})
    answer = proxy.ask("POST", PATH, CHAT)
    assert answer.status == 503
    eventually(lambda: any("alpha" in str(line) for line in proxy.stderr), "the log names it")
    file = socket.parent / "routing.yaml"
    file.write_text(f"version: 1\nbackends: [{{name: alpha, url: 'unix:{socket}', models: [m]}}]\n")
    main(["doctor", str(file)])
    assert "cannot be reached" in capsys.readouterr().out
