"""Every source file of the rooms below has the unit test of its name, in the same tree."""

from pathlib import Path

import pytest

import proxy

ROOT = Path(proxy.__file__).parent
ROOMS = ("core", "engines", "live", "obs", "wire")


def sources(room: str) -> set[str]:
    found = (path.relative_to(ROOT) for path in (ROOT / room).rglob("*.py") if path.stem != "__init__")
    return {path.as_posix() for path in found}


def has_test(source: str) -> bool:
    path = Path(source)
    return (Path(__file__).parent / path.parent / f"test_{path.name}").is_file()


@pytest.mark.parametrize("room", ROOMS)
def test_every_source_file_has_the_test_of_its_name(room: str) -> None:
    assert sorted(source for source in sources(room) if not has_test(source)) == []
