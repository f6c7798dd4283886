"""`tidegate doctor` before real llama-servers: as they should be, and as people start them."""

import json
import urllib.request
from pathlib import Path

import pytest

from proxy.cli.main import main
from tests.engines.llama_server import Engine, LlamaServer, running_server
from tests.support.patience import eventually

Told = dict[str, str]


def told(folder: Path, capsys: pytest.CaptureFixture[str], server: LlamaServer, *options: str) -> Told:
    """What is found of it: id → what."""
    file = folder / "routing.yaml"
    file.write_text(f"version: 1\nadmin: 127.0.0.1:1\nbackends: [{{url: '{server.url}', name: a}}]\n")
    assert main(["doctor", str(file), "--json", *options]) == 0
    return {one["id"]: one["what"] for one in json.loads(capsys.readouterr().out) if one["where"] == "a"}


def test_one_that_hides_its_load(tmp_path: Path, capsys: pytest.CaptureFixture[str], text_server: LlamaServer) -> None:
    """As most are started: without metrics."""
    found = told(tmp_path, capsys, text_server)
    assert "llama-cpp-no-metrics" in found
    assert not {"llama-cpp-no-slots", "llama-cpp-one-slot", "llama-cpp-short-context", "llama-cpp-asleep"} & set(found)
    assert found["engine-seen"].startswith("llama_cpp ")


def test_one_that_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: Engine) -> None:
    with running_server(engine, "tiny", "--metrics") as server:
        found = told(tmp_path, capsys, server, "--try")
    assert "llama-cpp-no-metrics" not in found
    assert not {"engine-cached-untold", "engine-usage-untold", "engine-refuses-usage"} & set(found)
    assert found["engine-tried"].startswith("tiny answers; ")


def test_one_slot_and_a_short_context(tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: Engine) -> None:
    with running_server(engine, "tiny", "--metrics", "--no-slots", "-np", "1", "-c", "512") as server:
        found = told(tmp_path, capsys, server)
    assert {"llama-cpp-one-slot", "llama-cpp-no-slots", "llama-cpp-short-context"} <= set(found)
    assert found["llama-cpp-short-context"] == ("a request has 512 tokens of context, the model was trained with 2048")


def is_sleeping(server: LlamaServer) -> bool:
    with urllib.request.urlopen(f"{server.url}/props", timeout=5.0) as answer:
        return bool(json.load(answer)["is_sleeping"])


def test_one_that_sleeps_is_not_woken(tmp_path: Path, capsys: pytest.CaptureFixture[str], engine: Engine) -> None:
    with running_server(engine, "tiny", "--metrics", "--sleep-idle-seconds", "1") as server:
        eventually(lambda: is_sleeping(server), "llama-server asleep", 20.0)
        for _ in range(2):
            found = told(tmp_path, capsys, server, "--try")
            assert found["engine-not-tried"] == "not tried: it sleeps"
            assert "llama-cpp-asleep" in found
