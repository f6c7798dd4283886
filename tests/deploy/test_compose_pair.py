"""compose.pair.yaml and what it mounts fit together: two proxies alike, behind a balancer, with what they share."""

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from proxy.cli.main import main
from proxy.cli.parser import build_parser
from tests.support.bed import backend_entry
from tests.support.fixtures import StartBackend, StartProxy
from tests.support.nginx import PROGRAM, free_port, needs_nginx
from tests.support.patience import eventually
from tests.support.raw_client import ask

PROXIES = ("tidegate-1", "tidegate-2")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.fixture(scope="module")
def services(deploy: Path) -> dict[str, Any]:
    found: dict[str, Any] = load(deploy / "compose.pair.yaml")["services"]
    return found


@pytest.fixture(scope="module")
def engines(services: dict[str, Any]) -> dict[str, int]:
    """Name → port, of the simulated engines."""
    parsed = [build_parser("sim").parse_args(one["command"]) for one in services.values() if _simulates(one)]
    return {one.name: one.port for one in parsed}


def _simulates(service: dict[str, Any]) -> bool:
    return bool(service.get("command", [""])[0] == "sim")


def test_both_proxies_are_those_of_the_single_one(deploy: Path, services: dict[str, Any]) -> None:
    """But for the port, which the balancer has, and the file."""
    single = load(deploy / "compose.yaml")["services"]["tidegate"]
    for name in PROXIES:
        assert services[name] | {"volumes": None} == {k: v for k, v in single.items() if k != "ports"} | {
            "volumes": None
        }


def test_what_everybody_watches_with_is_the_same(deploy: Path, services: dict[str, Any]) -> None:
    single = load(deploy / "compose.yaml")["services"]
    assert services["grafana"] == single["grafana"]
    assert services["prometheus"]["image"] == single["prometheus"]["image"]


def test_the_proxies_know_these_engines_and_valkey(
    deploy: Path, services: dict[str, Any], engines: dict[str, int]
) -> None:
    assert main(["check", "--strict", str(deploy / "pair/routing.yaml")]) == 0
    routing = load(deploy / "pair/routing.yaml")
    urls = [urlsplit(backend["url"]) for backend in routing["backends"]]
    assert {url.hostname: url.port for url in urls} == engines
    assert all(name in services for name in engines)
    assert urlsplit(routing["cache"]["remote"]).hostname in services


def test_prometheus_asks_everybody(deploy: Path, engines: dict[str, int]) -> None:
    jobs = {
        job["job_name"]: job["static_configs"][0]["targets"]
        for job in load(deploy / "pair/prometheus.yml")["scrape_configs"]
    }
    assert jobs == {
        "tidegate": [f"{name}:9090" for name in PROXIES],
        "engines": [f"{name}:{port}" for name, port in engines.items()],
    }


def test_what_it_mounts_is_there(deploy: Path, services: dict[str, Any]) -> None:
    mounted = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])]
    assert len(mounted) == 7
    assert all((deploy / path).exists() for path in mounted)


def test_nothing_is_published_beyond_this_machine(services: dict[str, Any]) -> None:
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert sorted(ports) == ["balancer", "grafana", "prometheus"]
    assert all(port.startswith("127.0.0.1:") for some in ports.values() for port in some)


def test_every_image_is_pinned(services: dict[str, Any]) -> None:
    images = {service["image"] for service in services.values()} - {"tidegate"}
    assert len(images) == 4
    assert all(re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", image) for image in images)


@needs_nginx
def test_behind_its_nginx_one_may_leave(
    deploy: Path, tmp_path: Path, start_backend: StartBackend, start_proxy: StartProxy
) -> None:
    text = (deploy / "pair/nginx.conf").read_text()
    assert re.findall(r"server ([\w-]+):8080", text) == list(PROXIES)
    config = {"backends": [backend_entry(start_backend(), "engine-1")]}
    proxies = {name: start_proxy(config) for name in PROXIES}
    for name, proxy in proxies.items():
        text = text.replace(f"{name}:8080", f"127.0.0.1:{proxy.port}")
    port = free_port()
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}")
    paths = (f"{of}_temp_path {tmp_path}/{of};" for of in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    text = text.replace("http {", f"http {{ access_log off; {' '.join(paths)}")
    file = tmp_path / "nginx.conf"
    file.write_text(f"daemon off; pid {tmp_path}/pid;\n{text}")
    process = subprocess.Popen([str(PROGRAM), "-c", file, "-e", tmp_path / "error.log"], stderr=subprocess.DEVNULL)

    def served() -> int:
        question = {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]}
        return ask(("127.0.0.1", port), "POST", "/v1/chat/completions", question).status

    try:
        eventually((tmp_path / "pid").exists, "nginx", 10.0)
        assert {served() for _ in range(10)} == {200}
        counts = [proxy.metrics().total("tidegate_requests_total") for proxy in proxies.values()]
        assert all(counts), "both are asked"
        proxies["tidegate-1"].stop()
        assert {served() for _ in range(10)} == {200}
    finally:
        process.terminate()
        process.wait()
