"""`tidegate doctor` before engines that are well, skewed, self-signed, or not there, and names that are ill."""

import asyncio
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.cli.main import main
from tests.support.certificates import self_signed

OLD = "Thu, 01 Jan 2026 00:00:00 GMT"
MODELS = b'{"object":"list","data":[{"id":"m","owned_by":"vllm"}]}'


@contextmanager
def engine(tls: ssl.SSLContext | None = None, key: str = "") -> Iterator[int]:
    """Lists one model, has no metrics, and lives in the past."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        head_of_request = await reader.readuntil(b"\r\n\r\n")
        if key and f"authorization: bearer {key}\r\n".encode() not in head_of_request.lower():
            writer.write(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            writer.close()
            return
        found = line.startswith(b"GET /v1/models")
        body = MODELS if found else b""
        status = "200 OK" if found else "404 Not Found"
        head = f"HTTP/1.1 {status}\r\ndate: {OLD}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        writer.close()

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()


def examined(folder: Path, capsys: pytest.CaptureFixture[str], backend: str) -> tuple[int, list[str]]:
    file = folder / "routing.yaml"
    file.write_text(f"version: 1\nadmin: 127.0.0.1:1\nbackends:\n  - {{name: a, {backend}}}\n")
    code = main(["doctor", str(file), "--json"])
    told = capsys.readouterr().out
    assert "secret" not in told
    return code, [one["what"] for one in json.loads(told) if one["where"] == "a"]


def test_an_engine_in_the_past_without_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with engine() as port:
        code, seen = examined(tmp_path, capsys, f'url: "http://127.0.0.1:{port}"')
    assert code == 0
    assert "behind ours" in seen[0]
    assert seen[1] == "vllm, serves m"
    assert "/metrics does not answer" in seen[2]


def test_models_that_it_does_not_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with engine() as port:
        code, seen = examined(tmp_path, capsys, f'url: "http://127.0.0.1:{port}", models: [m, other]')
    assert code == 1
    assert "it does not list the model other" in seen


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    certificate = self_signed(tmp_path, "own", "own", "IP:127.0.0.1")
    with engine(certificate.server_context()) as port:
        code, seen = examined(tmp_path, capsys, f'url: "https://127.0.0.1:{port}"')
        assert code == 1
        assert seen == ["certificate: self-signed certificate"]
        assert examined(tmp_path, capsys, f'url: "https://127.0.0.1:{port}", tls: {{verify: false}}')[0] == 0


def test_a_name_that_does_not_resolve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, seen = examined(tmp_path, capsys, 'url: "http://no-such-host.invalid:8000"')
    assert (code, seen) == (1, ["the name no-such-host.invalid does not resolve"])


def test_a_port_where_nobody_listens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, seen = examined(tmp_path, capsys, 'url: "http://127.0.0.1:2"')
    assert code == 1
    assert "cannot be reached" in seen[0]


HANGING = """
import socket, threading
def hang(*_, **__): threading.Event().wait()
socket.getaddrinfo = hang
"""


def test_a_resolver_that_hangs_keeps_nobody(tmp_path: Path) -> None:
    """Neither while it looks, nor at the end of the process, which waits for threads of the loop."""
    (tmp_path / "sitecustomize.py").write_text(HANGING)
    file = tmp_path / "routing.yaml"
    file.write_text('version: 1\nadmin: 127.0.0.1:1\nbackends: [{url: "http://engine.test:8000", name: a}]\n')
    command = [sys.executable, "-m", "proxy.cli.main", "doctor", "--json", str(file)]
    environ = {**os.environ, "PYTHONPATH": f"{tmp_path}:{Path.cwd()}"}
    done = subprocess.run(command, env=environ, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert [one["id"] for one in json.loads(done.stdout) if one["where"] == "a"] == ["name-silent"]


def test_a_file_that_is_wrong_is_json_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text("version: 1\nbackends: []\nretries: 3\n")
    assert main(["doctor", str(file), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {one["id"] for one in found} == {"file-error"}
    assert f"{file}:3:10" in [one["where"] for one in found]
    assert main(["doctor", str(tmp_path / "absent.yaml"), "--json"]) == 1
    assert [one["id"] for one in json.loads(capsys.readouterr().out)] == ["file-error"]
    assert main(["doctor", str(file)]) == 1
    told = capsys.readouterr().out
    assert "[file-error]" in told
    assert all(len(line) <= 80 or " " not in line.strip() for line in told.splitlines())


def test_check_says_it_beside_what_is_wrong_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "routing.yaml"
    file.write_text('version: 1\nbackends:\n  - {url: "http://no-such-host.invalid:8000", name: dead}\n')
    assert main(["check", str(file)]) == 0
    capsys.readouterr()
    assert main(["check", "--live", str(file)]) == 1
    told = capsys.readouterr().out
    assert "does not resolve" in told
    assert "1 error, 1 backend" in told


def test_a_key_reaches_the_engine_and_nobody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINE_KEY", "secret-of-a")
    with engine(key="secret-of-a") as port:
        assert examined(tmp_path, capsys, f'url: "http://127.0.0.1:{port}"') == (1, ["it answers 401"])
        code, seen = examined(tmp_path, capsys, f'url: "http://127.0.0.1:{port}", api_key: "${{ENGINE_KEY}}"')
    assert code == 0
    assert "vllm, serves m" in seen
