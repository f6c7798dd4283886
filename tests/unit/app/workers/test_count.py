"""`auto`: what a container may use counts, not what the machine has."""

import os
from pathlib import Path

import pytest

from proxy.app.workers.count import cores

USABLE = len(os.sched_getaffinity(0))


def of(folder: Path, own: str, **files: str) -> int:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_max", ".max").replace("cfs", "cpu.cfs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "own").write_text(own)
    return cores(folder, folder / "own")


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", USABLE), ("100000 100000", 1), ("50000 100000", 1), ("150000 100000", min(2, USABLE))],
)
def test_the_quota_of_a_container(tmp_path: Path, quota: str, expected: int) -> None:
    assert of(tmp_path, "0::/\n", cpu_max=quota) == expected


def test_the_quota_of_a_group_above(tmp_path: Path) -> None:
    assert of(tmp_path, "0::/slice/unit\n", slice__cpu_max="100000 100000", slice__unit__cpu_max="max 100000") == 1


@pytest.mark.parametrize("quota", ["", "nonsense", "1 0", "-1 100000", "x y"])
def test_nonsense_is_no_quota(tmp_path: Path, quota: str) -> None:
    assert of(tmp_path, "0::/\n", cpu_max=quota) == USABLE


def test_without_cgroups(tmp_path: Path) -> None:
    assert cores(tmp_path / "none", tmp_path / "none") == USABLE
