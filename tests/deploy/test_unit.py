"""The systemd unit starts what exists and waits as long as draining takes."""

from collections import defaultdict
from pathlib import Path

import pytest

from proxy.cli.parser import build_parser
from proxy.model.limits import DrainSettings, Limits

Unit = dict[str, list[str]]


@pytest.fixture
def unit(deploy: Path) -> Unit:
    """Every setting of the unit with its values in order."""
    settings: defaultdict[str, list[str]] = defaultdict(list)
    for line in (deploy / "tidegate.service").read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings[name].append(value)
    return settings


def test_it_checks_then_serves_one_file(unit: Unit) -> None:
    for setting, command in (("ExecStartPre", "check"), ("ExecStart", "serve")):
        (line,) = unit[setting]
        program, *arguments = line.split()
        assert program == "/opt/tidegate/bin/tidegate"
        assert arguments == [command, "/etc/tidegate/routing.yaml"]
        build_parser(command).parse_args(arguments)


def test_it_drains_on_sigterm(unit: Unit) -> None:
    drain = DrainSettings()
    assert unit["KillSignal"] == ["SIGTERM"]
    assert int(unit["TimeoutStopSec"][0]) > drain.readiness + drain.streams


def test_it_says_itself_when_it_is_ready(unit: Unit) -> None:
    """What it says: tests/faults/test_service_manager.py."""
    assert unit["Type"] == ["notify"]
    assert unit["NotifyAccess"] == ["main"]
    assert "AF_UNIX" in unit["RestrictAddressFamilies"][0].split()


def test_it_may_open_what_the_limits_promise(unit: Unit) -> None:
    assert int(unit["LimitNOFILE"][0]) >= 2 * 2 * Limits().connections.max


def test_it_gives_nothing_away(unit: Unit) -> None:
    assert unit["DynamicUser"] == ["yes"]
    assert unit["CapabilityBoundingSet"] == [""]
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["NoNewPrivileges"] == ["yes"]
