"""The first file: right as it stands, right with every example in force, whatever was found."""

import re
from pathlib import Path

import pytest

from proxy.config.loader import Loaded, load_text
from proxy.config.secrets import SecretSource
from proxy.config.starter import Machine, StarterEngine, starter

NOTHING = Machine((), (), (), "127.0.0.1:8080", "127.0.0.1:9090", "127.0.0.1, ports 8000, 8001")
VLLM = StarterEngine("http://127.0.0.1:8000", "vllm", ("qwen3-8b",), "ready")
_EXAMPLE = re.compile(r"^( *)# ((?:[a-z_]+: |[a-z_]+:$|  +(?:- )?[a-z_]+: ).*)$", re.MULTILINE)


def loaded(text: str) -> Loaded:
    return load_text(text, "routing.yaml", SecretSource({"ENGINE_API_KEY": "k"}, Path()))


def machine(*engines: StarterEngine) -> Machine:
    return NOTHING._replace(engines=engines)


MACHINES = [
    NOTHING,
    machine(VLLM),
    machine(VLLM, StarterEngine("http://127.0.0.1:11434", "ollama", (), "ready")),
    machine(
        StarterEngine("http://127.0.0.1:8001", None, (), "locked"),
        StarterEngine("http://127.0.0.1:8080", None, (), "loading"),
    )._replace(listen="127.0.0.1:8081"),
    machine(VLLM)._replace(listen="127.0.0.1:8081", admin="127.0.0.1:9091", proxies=("http://127.0.0.1:8080",)),
    NOTHING._replace(strangers=("http://127.0.0.1:8000",)),
]


@pytest.mark.parametrize("found", MACHINES)
def test_it_is_right_as_it_stands(found: Machine) -> None:
    read = loaded(starter(found, "routing.yaml"))
    assert read.diagnostics == []
    assert read.config is not None
    assert (read.config.listen, read.config.admin) == (found.listen, found.admin)
    assert [backend.url for backend in read.config.backends][: len(found.engines)] == [e.url for e in found.engines]


@pytest.mark.parametrize("found", MACHINES)
def test_every_example_in_it_is_right(found: Machine) -> None:
    text, count = _EXAMPLE.subn(r"\1\2", starter(found, "routing.yaml"))
    assert count >= 6
    read = loaded(text)
    assert read.diagnostics == []
    assert read.config is not None
    assert read.config.backends[0].max_concurrency == 16
    assert read.config.classes[0].slo.preset == "chatbot"
    assert read.config.log.format == "json"


def test_no_engine_is_said_and_still_a_file() -> None:
    text = starter(NOTHING, "routing.yaml")
    assert "No engine answered at 127.0.0.1, ports 8000, 8001: put the URL of yours here." in text
    assert "\n  - url: http://127.0.0.1:8001\n" in text


def test_the_example_is_never_a_proxy() -> None:
    proxies = ("http://127.0.0.1:8001", "http://127.0.0.1:8000")
    read = loaded(starter(NOTHING._replace(proxies=proxies), "routing.yaml"))
    assert read.config is not None
    assert read.config.backends[0].url not in proxies


def test_what_an_engine_calls_its_models_stays_a_comment() -> None:
    names = ("a\n  - url: http://evil", "b\u2028c", "d\r\nversion: 2", "é" * 1000, "\x00", "tab\tbed")
    read = loaded(starter(machine(VLLM._replace(models=names)), "a\nb.yaml"))
    assert read.diagnostics == []
    assert read.config is not None
    assert [backend.url for backend in read.config.backends] == [VLLM.url]


def test_many_models_are_counted() -> None:
    text = starter(machine(VLLM._replace(models=tuple(f"m{n}" for n in range(100)))), "routing.yaml")
    assert "# vllm, serves m0, m1, m2, m3, m4, m5 and 94 more\n" in text
