"""This machine, its versions, and the commit of the program."""

import re
from pathlib import Path

from proxy.bench.machine import commit, machine, versions


def test_what_a_machine_says(tmp_path: Path) -> None:
    for name, text in [
        ("proc/cpuinfo", "processor : 0\nmodel name : Quick 9000\nmodel name : Quick 9000\n"),
        ("proc/meminfo", "MemTotal:       16000000 kB\n"),
        ("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n"),
    ]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    told = machine(targets_here=True, root=tmp_path)
    assert (told.cpu, told.governor, told.memory_gb, told.targets_here) == ("Quick 9000", "performance", 16.4, True)
    assert told.cores > 0


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    told = machine(targets_here=False, root=tmp_path)
    assert told.cpu
    assert told.governor == ""


def test_versions() -> None:
    found = versions()
    assert {"tidegate", "python", "uvloop", "httptools"} <= set(found)


def test_the_commit_of_a_clone() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}(\+changes)?|", commit())
