"""compose.pair.yaml and what it mounts fit together: two proxies alike, behind a balancer, with what they share."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from proxy.cli.main import main
from proxy.cli.parser import build_parser

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


def test_nginx_takes_its_file_and_passes_to_both(deploy: Path, tmp_path: Path) -> None:
    text = (deploy / "pair/nginx.conf").read_text()
    assert re.findall(r"server ([\w-]+):8080", text) == list(PROXIES)
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("no nginx here: its file is not tried")
    file = tmp_path / "nginx.conf"
    file.write_text(f"pid {tmp_path}/pid;\n" + re.sub(r"tidegate-\d:", "127.0.0.1:", text))
    ran = subprocess.run([nginx, "-t", "-c", file, "-e", tmp_path / "error.log"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
