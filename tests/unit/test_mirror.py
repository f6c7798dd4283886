"""Every source file of the rooms below has the unit test of its name, in the same tree; there are no exceptions."""

from pathlib import Path

import pytest

import proxy

ROOT = Path(proxy.__file__).parent
ROOMS = ("bench", "core", "engines", "live", "obs", "wire")


def has_test(source: Path) -> bool:
    return (Path(__file__).parent / source.parent / f"test_{source.name}").is_file()


@pytest.mark.parametrize("room", ROOMS)
def test_every_source_file_has_the_test_of_its_name(room: str) -> None:
    sources = [path.relative_to(ROOT) for path in (ROOT / room).rglob("*.py") if path.stem != "__init__"]
    assert len(sources) >= 4
    assert sorted(source.as_posix() for source in sources if not has_test(source)) == []
