"""compose.yaml and what it mounts fit together, and its commands and configuration are valid."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from proxy.cli.main import main
from proxy.cli.parser import build_parser


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = load(Path(__file__).parents[2] / "deploy/compose.yaml")["services"]
    return found


@pytest.fixture(scope="module")
def engines(services: dict[str, Any]) -> dict[str, Any]:
    """Name → parsed command line of each simulated engine."""
    commands = {name: service["command"] for name, service in services.items() if "command" in service}
    return {name: build_parser(command[0]).parse_args(command) for name, command in commands.items()}


def test_its_engines_are_valid_simulated_ones(engines: dict[str, Any]) -> None:
    assert len(engines) == 4
    assert sorted(engine.preset for engine in engines.values()) == ["high_throughput"] * 2 + ["low_latency"] * 2
    assert all(engine.host == "0.0.0.0" for engine in engines.values())
    assert all(engine.name == name for name, engine in engines.items())


def test_the_proxy_knows_exactly_these_engines(deploy: Path, engines: dict[str, Any]) -> None:
    assert main(["check", "--strict", str(deploy / "routing.yaml")]) == 0
    urls = [urlsplit(backend["url"]) for backend in load(deploy / "routing.yaml")["backends"]]
    assert {(url.hostname, url.port) for url in urls} == {(name, engine.port) for name, engine in engines.items()}


def test_prometheus_asks_them_and_the_proxy(deploy: Path, engines: dict[str, Any]) -> None:
    jobs = {
        job["job_name"]: job["static_configs"][0]["targets"]
        for job in load(deploy / "prometheus.yml")["scrape_configs"]
    }
    assert jobs == {
        "tidegate": ["tidegate:9090"],
        "engines": [f"{name}:{engine.port}" for name, engine in engines.items()],
    }


def test_health_checks_are_valid_and_on_the_right_port(services: dict[str, Any], engines: dict[str, Any]) -> None:
    for name, engine in engines.items():
        how, program, *command = services[name]["healthcheck"]["test"]
        assert (how, program) == ("CMD", "tidegate")
        assert urlsplit(build_parser(command[0]).parse_args(command).url).port == engine.port


def test_what_it_mounts_is_there(deploy: Path, services: dict[str, Any]) -> None:
    mounted = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])]
    assert len(mounted) == 5
    assert all((deploy / path).exists() for path in mounted)


def test_nothing_is_published_beyond_this_machine(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_stopping_waits_as_long_as_draining_takes(services: dict[str, Any]) -> None:
    assert services["tidegate"]["stop_grace_period"] == "40s"


def test_every_image_is_pinned(services: dict[str, Any]) -> None:
    images = {service["image"] for service in services.values()} - {"tidegate"}
    assert images
    assert all(image.rpartition(":")[2][:1].isdigit() or image.rpartition(":")[2][:2] == "v3" for image in images)
