"""Both halves of `make test` together are all tests, each once."""

from pathlib import Path

from tests.__main__ import WAITS, halves

TESTS = Path(__file__).parents[1]


def test_every_folder_is_in_one_half() -> None:
    found = halves()
    both = found["computes"] + found["waits"]
    assert len(both) == len(set(both))
    assert {TESTS.parent / folder for folder in both} == {
        TESTS / path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")
    }
    assert found["waits"] == [f"tests/{folder}" for folder in sorted(WAITS)]


def test_no_test_lies_outside_of_them() -> None:
    assert list(TESTS.glob("test_*.py")) == []
