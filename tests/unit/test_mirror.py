"""Every source file of the rooms below has the unit test of its name, in the same tree."""

from pathlib import Path

import pytest

import proxy

ROOT = Path(proxy.__file__).parent
ROOMS = ("core", "engines", "live", "obs", "wire")
WITHOUT = {
    "core/fleet/backend.py",
    "core/fleet/fleet.py",
    "core/fleet/forecast.py",
    "core/jobs/attempt.py",
    "core/jobs/decision.py",
    "core/jobs/hedge_timers.py",
    "core/jobs/open_job.py",
    "core/learn/entry.py",
    "core/progress.py",
    "core/refusals.py",
    "core/retry/hedging.py",
    "core/rng.py",
    "core/route/policies/baselines.py",
    "core/route/policies/goodput.py",
    "core/route/policies/least_outstanding.py",
    "core/route/policies/power_of_two.py",
    "core/route/policies/round_robin.py",
    "core/shown/views.py",
}
"""Files that have none yet: this list only gets shorter."""


def sources(room: str) -> set[str]:
    found = (path.relative_to(ROOT) for path in (ROOT / room).rglob("*.py") if path.stem != "__init__")
    return {path.as_posix() for path in found}


def has_test(source: str) -> bool:
    path = Path(source)
    return (Path(__file__).parent / path.parent / f"test_{path.name}").is_file()


@pytest.mark.parametrize("room", ROOMS)
def test_every_source_file_has_the_test_of_its_name(room: str) -> None:
    assert sorted(source for source in sources(room) - WITHOUT if not has_test(source)) == []


def test_who_has_one_by_now_or_is_gone_is_no_exception() -> None:
    there = {source for room in ROOMS for source in sources(room)}
    assert sorted(source for source in WITHOUT if has_test(source) or source not in there) == []
