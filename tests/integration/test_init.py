"""`tidegate init` before engines that answer, a proxy, and programs that are neither."""

import socket
from functools import partial
from pathlib import Path

import pytest

from proxy.app import discovery
from proxy.app.discovery import look_around
from proxy.cli.main import main
from proxy.config.loader import load
from proxy.config.starter import StarterEngine
from tests.support.fake_backend import Exchange, Script

CAPTURES = Path(__file__).parents[1] / "engines_captures"


def captured(name: str) -> Script:
    """An engine that answers as a real one was recorded to."""
    answer = (CAPTURES / name).read_bytes()
    return says(answer)


def says(answer: bytes) -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.send(answer)
        exchange.close()

    return script


def json_answer(body: bytes, status: str = "200 OK") -> Script:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return says(head.encode() + body)


async def silent(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (captured("vllm/models.http"), ("vllm", ("tiny",), "ready")),
        (captured("llama.cpp/models.http"), ("llama_cpp", ("tiny",), "ready")),
        (captured("llama.cpp/health_loading.http"), ("llama_cpp", (), "loading")),
        (captured("vllm/auth_missing.http"), (None, (), "locked")),
        (json_answer(b'{"object":"list","data":null}'), (None, (), "ready")),
        (
            json_answer(b'{"object":"list","data":[{"id":"b","owned_by":"library"},{"id":"a"},{"id":"b"},7,{"id":7}]}'),
            ("ollama", ("b", "a"), "ready"),
        ),
    ],
)
def test_an_engine_is_recognised(start_backend, script, expected):
    engine = start_backend(script)
    assert look_around([closed_port(), engine.port]).engines == (StarterEngine(engine.url, *expected),)


@pytest.mark.parametrize(
    "script",
    [
        json_answer(b'{"detail":"Not Found"}', "404 Not Found"),
        json_answer(b"[]"),
        json_answer(b'{"data":null}'),
        says(b"HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n<h1>Jupyter</h1>"),
        says(b"HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n"),
        says(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 6\r\n\r\nlog in"),
        says(b"-ERR unknown command\r\n"),
        says(b""),
        says(b"HTTP/1.1 200 OK\r\n\r\n" + b'{"object":"list","data":[]}' + b" " * (5 << 20)),
        silent,
    ],
)
def test_what_is_no_engine_is_not_listed(start_backend, monkeypatch, script):
    monkeypatch.setattr(discovery, "TIMEOUT_S", 0.5)
    stranger = start_backend(script)
    machine = look_around([closed_port(), stranger.port])
    assert (machine.engines, machine.strangers) == ((), (stranger.url,))


def test_a_tidegate_is_no_engine(start_pair):
    engine, proxy = start_pair()
    machine = look_around([proxy.port, engine.port])
    assert machine.proxies == (f"http://127.0.0.1:{proxy.port}",)
    assert [found.url for found in machine.engines] == [engine.url]
    assert machine.strangers == ()


def test_a_tidegate_that_has_no_model_is_none_either(start_proxy):
    proxy = start_proxy({"backends": [{"url": f"http://127.0.0.1:{closed_port()}"}]}, models=0)
    assert look_around([proxy.port]).engines == ()


def test_all_ports_are_asked_at_once(start_backend, monkeypatch):
    monkeypatch.setattr(discovery, "TIMEOUT_S", 1.0)
    engines = [start_backend(silent) for _ in range(8)]
    look_around([engine.port for engine in engines])
    asked = [engine.received[0].received_at for engine in engines]
    assert max(asked) - min(asked) < 1.0


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def looking_at(monkeypatch: pytest.MonkeyPatch, *ports: int) -> None:
    monkeypatch.setattr(discovery, "look_around", partial(look_around, ports))


def test_the_file_serves_what_was_found(start_pair, start_backend, in_folder, monkeypatch, capsys):
    engine, proxy = start_pair()
    loading = start_backend(captured("llama.cpp/health_loading.http"))
    looking_at(monkeypatch, proxy.port, engine.port, loading.port)
    assert main(["init"]) == 0
    text = (in_folder / "routing.yaml").read_text()
    loaded = load(in_folder / "routing.yaml", {})
    assert loaded.diagnostics == []
    assert [backend.url for backend in loaded.config.backends] == [engine.url, loading.url]
    assert "# OpenAI-compatible, serves fake-model\n" in text
    assert "# llama_cpp, still loading\n" in text
    assert f"http://127.0.0.1:{proxy.port} is a Tidegate itself" in text
    said = capsys.readouterr().out
    assert said.startswith("wrote routing.yaml\n")
    assert said.endswith("next: tidegate serve routing.yaml\n")


def test_a_file_that_is_there_stays(start_backend, in_folder, monkeypatch, capsys):
    looking_at(monkeypatch, start_backend().port)
    file = in_folder / "mine.yaml"
    file.write_text("precious")
    assert main(["init", "mine.yaml"]) == 1
    assert file.read_text() == "precious"
    assert "--force" in capsys.readouterr().err
    assert main(["init", "mine.yaml", "--force"]) == 0
    assert load(file, {}).config is not None
    assert "tidegate serve mine.yaml" in file.read_text()


def test_a_file_that_comes_while_it_looks_stays(in_folder, monkeypatch, capsys):
    def slow() -> object:
        (in_folder / "routing.yaml").write_text("precious")
        return look_around([])

    monkeypatch.setattr(discovery, "look_around", slow)
    assert main(["init"]) == 1
    assert (in_folder / "routing.yaml").read_text() == "precious"
    assert "file exists" in capsys.readouterr().err


@pytest.mark.parametrize("path", ["nowhere/routing.yaml", "."])
def test_what_cannot_be_written_is_one_line(in_folder, monkeypatch, capsys, path):
    looking_at(monkeypatch)
    assert main(["init", path, "--force"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("how", [["--stdout"], ["-"], ["other.yaml", "--stdout"]])
def test_printed_nothing_is_written(in_folder, monkeypatch, capsys, how):
    looking_at(monkeypatch, closed_port())
    assert main(["init", *how]) == 0
    captured_text = capsys.readouterr()
    (in_folder / "kept").write_text(captured_text.out)
    assert load(in_folder / "kept", {}).diagnostics == []
    assert "no engine answered" in captured_text.err
    assert [path.name for path in in_folder.iterdir()] == ["kept"]


def test_an_engine_at_the_default_address_moves_the_listener(start_backend, monkeypatch):
    engine = start_backend()
    default = f"127.0.0.1:{engine.port}"
    monkeypatch.setattr(discovery.Config.model_fields["listen"], "default", default)
    machine = look_around([engine.port, engine.port + 1])
    assert machine.listen != default
    assert int(machine.listen.rpartition(":")[2]) > engine.port + 1


def test_a_tidegate_at_the_default_address_keeps_it(start_pair, monkeypatch):
    _, proxy = start_pair()
    default = f"127.0.0.1:{proxy.port}"
    monkeypatch.setattr(discovery.Config.model_fields["listen"], "default", default)
    assert look_around([proxy.port]).listen == default
