"""Owners in a real redis-server: told, found, forgotten, told late."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from proxy.core.cache.versions import Versions
from proxy.live.cache.remote import RemoteCache
from proxy.live.shared_owners import Owner, SharedOwners, packed, unpacked
from tests.support.patience import eventually
from tests.support.redis_server import RedisServer, needs_redis, redis_server

NAME, OTHER = b"n" * 16, b"o" * 16
OWNER = ("alpha", "modèle/1")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def second(server: RedisServer) -> AsyncIterator[SharedOwners]:
    server.command("FLUSHALL")
    remote = RemoteCache(server.url, None, Versions(), 1 << 20, time.monotonic)
    yield remote.owners
    await remote.close()


async def patiently(second: SharedOwners, name: bytes) -> Owner | bool | None:
    """The machine may be busy: 50 ms can be little."""
    said: Owner | bool | None = False
    for _ in range(50):
        said = await second.find(name)
        if said is not False:
            break
    return said


@needs_redis
async def test_what_is_told_is_found_for_its_time(second: SharedOwners, server: RedisServer) -> None:
    second.tell(NAME, OWNER, 50.0)
    assert await second.find(NAME) == OWNER, "before it is there"
    await asyncio.to_thread(eventually, lambda: second.told == 1, "it is told", 10.0)
    assert await patiently(second, NAME) == OWNER
    assert await patiently(second, OTHER) is None
    (key,) = server.keys("tidegate:owner:*")
    assert 40_000 < int(server.command("PTTL", key)[1:-2]) <= 50_000
    second.forget(NAME)
    await asyncio.to_thread(eventually, lambda: not server.keys("tidegate:owner:*"), "it is gone", 10.0)


@needs_redis
async def test_what_others_wrote_there_is_not_believed(second: SharedOwners, server: RedisServer) -> None:
    server.command("SET", b"tidegate:owner:" + NAME, packed(OWNER, OTHER))
    assert await patiently(second, NAME) is None
    server.command("SET", b"tidegate:owner:" + NAME, b"x" * 5000)
    assert await patiently(second, NAME) is None


@needs_redis
async def test_thousands_are_told_in_some_goes(second: SharedOwners, server: RedisServer) -> None:
    for number in range(3000):
        second.tell(b"%016d" % number, OWNER, 50.0)
    await asyncio.to_thread(eventually, lambda: second.told == 3000, "all are told", 10.0)
    assert server.command("DBSIZE") == b":3000\r\n"


async def test_while_nobody_answers_the_newest_wait() -> None:
    remote = RemoteCache("redis://127.0.0.1:1/0", None, Versions(), 1 << 20, time.monotonic)
    second = remote.owners
    for number in range(5000):
        second.tell(b"%016d" % number, OWNER, 50.0)
    await asyncio.to_thread(eventually, lambda: remote.counts["error"] >= 1, "it was tried", 10.0)
    assert second.dropped == 5000 - 4096
    assert await second.find(b"%016d" % 4999) == OWNER, "this proxy knows what it is about to tell"
    assert await second.find(NAME) is False
    await remote.close()


def test_what_stands_there_is_bound_to_its_name() -> None:
    assert unpacked(packed(OWNER, NAME), NAME) == OWNER
    assert unpacked(packed(OWNER, NAME), OTHER) is None
    assert unpacked(b"", NAME) is None
    assert unpacked(packed(OWNER, NAME)[:-1], NAME) is None
