"""What the doctor reads of a machine, and makes of it."""

from pathlib import Path

import pytest

from proxy.app.descriptors import shared
from proxy.app.doctor.machine import Machine, look, of_machine
from proxy.config.loader import load

GOOD = Machine(now=1_800_000_000.0, wanted=100, allowed=100, clients=4096, places=None)


def ids(machine: Machine) -> list[str]:
    return [one.id for one in of_machine(machine)]


def test_a_good_one_is_only_noted() -> None:
    assert ids(GOOD) == ["machine-descriptors"]


@pytest.mark.parametrize(
    ("machine", "told"),
    [
        (GOOD._replace(allowed=99), "machine-few-descriptors"),
        (GOOD._replace(places=4097), "machine-few-connections"),
        (GOOD._replace(places=101, upstream=100), "machine-few-for-engines"),
        (GOOD._replace(now=0.0), "machine-clock"),
        (GOOD._replace(is_synchronised=False), "machine-clock-free"),
        (GOOD._replace(backlog=1023), "machine-backlog"),
        (GOOD._replace(cores=0.99), "machine-cpu-quota"),
        (GOOD._replace(proxy_variables=("HTTP_PROXY",)), "machine-proxy-variables"),
        (GOOD._replace(unknown_zone="Mars/Crater"), "machine-time-zone"),
        (GOOD._replace(swapped_b=1 << 30), "machine-swap"),
    ],
)
def test_what_is_wrong_with_it(machine: Machine, told: str) -> None:
    assert told in ids(machine)


def test_what_is_just_enough_is_right() -> None:
    edge = GOOD._replace(places=4096, upstream=4096, backlog=1024, cores=1.0, is_synchronised=True, swapped_b=256 << 20)
    assert ids(edge) == ["machine-descriptors"]


def looked(folder: Path, environ: dict[str, str], places: str = "") -> Machine:
    file = folder / "routing.yaml"
    file.write_text(f'version: 1\nbackends:\n  - {{url: "http://127.0.0.1:1", name: a{places}}}\n')
    config = load(file, {}).config
    assert config is not None
    return look(config, environ, folder)


def written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_it_wants_is_enough(tmp_path: Path) -> None:
    """With the limit that the doctor names, it is content."""
    seen = looked(tmp_path, {}, ", max_concurrency: 8000")
    assert "machine-few-for-engines" in ids(seen)
    upstream = shared(seen.wanted_for_places, seen.clients, 1).upstream
    assert "machine-few-for-engines" not in ids(seen._replace(upstream=upstream))


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    seen = looked(tmp_path, {})
    assert (seen.backlog, seen.cores, seen.swapped_b, seen.places) == (None, None, None, None)
    assert seen.now > 1_700_000_000


def test_the_least_quota_of_a_control_group_and_those_above(tmp_path: Path) -> None:
    written(tmp_path / "proc/self/cgroup", "0::/system.slice/tidegate.service\n")
    written(tmp_path / "sys/fs/cgroup/system.slice/tidegate.service/cpu.max", "max 100000\n")
    written(tmp_path / "sys/fs/cgroup/system.slice/cpu.max", "50000 100000\n")
    written(tmp_path / "proc/sys/net/core/somaxconn", "128\n")
    written(tmp_path / "proc/meminfo", "MemTotal: 9 kB\nSwapTotal:  1000 kB\nSwapFree:  400 kB\n")
    seen = looked(tmp_path, {}, ", max_concurrency: 8")
    assert (seen.cores, seen.backlog, seen.swapped_b, seen.places) == (0.5, 128, 600 * 1024, 8)


def test_the_quota_of_the_older_kind(tmp_path: Path) -> None:
    written(tmp_path / "proc/self/cgroup", "4:memory:/x\n3:cpu,cpuacct:/x\n")
    written(tmp_path / "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "150000\n")
    written(tmp_path / "sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n")
    written(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    written(tmp_path / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert looked(tmp_path, {}).cores == 1.5


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({"HTTPS_PROXY": "http://u:secret@proxy:3128"}, ("HTTPS_PROXY",)),
        ({"http_proxy": "http://proxy:3128", "NO_PROXY": "localhost,10.0.0.0/8"}, ("http_proxy",)),
        ({"http_proxy": "http://proxy:3128", "NO_PROXY": "localhost, 127.0.0.1"}, ()),
        ({"ALL_PROXY": "socks5://proxy", "no_proxy": "*"}, ()),
        ({"HTTP_PROXY": ""}, ()),
    ],
)
def test_variables_that_clients_obey(tmp_path: Path, environ: dict[str, str], found: tuple[str, ...]) -> None:
    seen = looked(tmp_path, environ)
    assert seen.proxy_variables == found
    assert not any("secret" in one.what + one.do for one in of_machine(seen))


@pytest.mark.parametrize(
    ("zone", "is_wrong"),
    [("", False), ("UTC", False), ("UTC+3", False), ("<+03>-3", False), ("Mars/Crater", True), (":Mars", True)],
)
def test_a_zone_that_is_not_here(tmp_path: Path, zone: str, is_wrong: bool) -> None:
    assert bool(looked(tmp_path, {"TZ": zone}).unknown_zone) is is_wrong
