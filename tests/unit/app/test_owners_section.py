"""Who has what, in the state file: small, of no tenant's, and doubted."""

from base64 import b64encode
from typing import Any

import orjson
import pytest

from proxy.app.owners_section import MOST, OwnersSection
from proxy.live.owners import Owners
from proxy.model.limits import StoredLimits
from proxy.model.units import MIB

MINE = b"m" * 32


def written(owners: Owners, *, wall: float = 1e9, now: float = 10.0) -> Any:
    document = OwnersSection(owners, lambda: wall, lambda: now).taken().as_json()
    return orjson.loads(orjson.dumps(document))


def recalled(section: Any, *, wall: float = 1e9, now: float = 10.0, size: int = 32 << 20) -> Owners:
    owners = Owners(StoredLimits(size=size))
    OwnersSection(owners, lambda: wall, lambda: now).recall(section)
    return owners


def some(count: int = 3, size: int = 32 << 20) -> Owners:
    owners = Owners(StoredLimits(size=size))
    for number in range(count):
        owners.learn(MINE, f"resp_{number}", "ab"[number % 2], "m", 10.0)
    return owners


def test_it_comes_back_in_another_process_at_another_time() -> None:
    section = written(some())
    assert "resp" not in str(section)
    later = recalled(section, wall=1e9 + 3600.0, now=5.0)
    assert [later.find(MINE, f"resp_{number}", 6.0) for number in range(3)] == [("a", "m"), ("b", "m"), ("a", "m")]
    assert not len(recalled(section, wall=1e9 + 25 * 3600.0))


def test_a_hundred_thousand_are_three_megabytes_and_more_are_not_written() -> None:
    section = written(some(MOST + 5_000, size=200 * MIB))
    assert len(orjson.dumps(section)) < 3_100_000
    assert len(recalled(section, size=200 * MIB)) == MOST


@pytest.mark.parametrize(
    "section",
    [
        None,
        7,
        [],
        {},
        {"owners": [["a", "m"]]},
        {"owners": [["a", "m"]], "ids": "?"},
        {"owners": [], "ids": b64encode(b"n" * 16 + b"\0\0\xff\xff\xff\xff").decode()},
        {
            "owners": [["a"], ["a", 7], "am", ["a" * 600, "m"]],
            "ids": b64encode(b"n" * 16 + b"\0\1\xff\xff\xff\xff").decode(),
        },
    ],
)
def test_what_is_not_as_it_was_written_is_not_known(section: Any) -> None:
    assert not len(recalled(section))


def test_half_a_row_is_none() -> None:
    section = written(some())
    section["ids"] = section["ids"][:44]
    assert len(recalled(section)) == 1
