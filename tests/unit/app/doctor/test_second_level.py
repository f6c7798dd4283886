"""What the doctor makes of a Redis that was asked."""

import pytest

from proxy.app.doctor.second_level import Store, of_store

INFO = {"redis_version": "7.0.15", "role": "master", "maxmemory": "1073741824", "maxmemory_policy": "volatile-lru"}
GOOD = Store((0.0005,) * 100, INFO)


def ids(store: Store) -> list[str]:
    return [one.id for one in of_store(store)]


def test_a_good_one_is_only_noted() -> None:
    (found,) = of_store(GOOD)
    assert (found.id, found.what) == ("cache-seen", "Redis 7.0.15, 100 pings: p50 0.5 ms, p99 0.5 ms")
    assert "Valkey 8.1.0" in next(of_store(GOOD._replace(info={**INFO, "valkey_version": "8.1.0"}))).what


@pytest.mark.parametrize(("slow", "is_told"), [(1, True), (0, False)])
def test_one_of_a_hundred_is_late(slow: int, is_told: bool) -> None:
    assert ("cache-slow" in ids(GOOD._replace(pings_s=(0.0005,) * (100 - slow) + (0.006,) * slow))) is is_told


@pytest.mark.parametrize(
    ("info", "told"),
    [
        ({"maxmemory_policy": "noeviction"}, "cache-refuses"),
        ({"maxmemory_policy": "allkeys-lru"}, "cache-evicts"),
        ({"maxmemory": "0"}, "cache-unbounded"),
        ({"role": "slave"}, "cache-replica"),
        ({"cluster_enabled": "1"}, "cache-cluster"),
    ],
)
def test_what_it_says_of_itself(info: dict[str, str], told: str) -> None:
    assert ids(GOOD._replace(info={**INFO, **info})) == ["cache-seen", told]


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ("NOAUTH Authentication required.", "cache-password"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "cache-password"),
        ("ERR AUTH <password> called without any password configured for the default user.", "cache-password"),
        ("NOPERM this user has no permissions to run the 'info' command", "cache-password"),
        ("ERR DB index is out of range", "cache-database"),
        ("LOADING Redis is loading the dataset in memory", "cache-loading"),
        ("ERR something else", "cache-away"),
    ],
)
def test_why_it_refuses(refusal: str, told: str) -> None:
    (found,) = of_store(Store(refusal=refusal))
    assert found.id == told
    assert found.do
