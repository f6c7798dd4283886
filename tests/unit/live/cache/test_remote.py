"""The second level as one proxy sees it, before a real redis-server; faults are in tests/faults."""

import time
from collections.abc import AsyncIterator, Iterator

import pytest

from proxy.core.cache.versions import Versions
from proxy.live.cache.remote import RemoteCache
from proxy.wire.kept import Kept, packed
from proxy.wire.usage import Usage
from tests.support.redis_server import RedisServer, needs_redis, redis_server

pytestmark = needs_redis
KEY, OTHER = b"k" * 32, b"o" * 32
ANSWER = Kept(b'{"id":"x"}', False, False, time.time(), Usage(1, 2, None), b"who", "x", "fp")


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def remote(server: RedisServer) -> AsyncIterator[RemoteCache]:
    server.command("FLUSHALL")
    remote = RemoteCache(server.url, None, Versions(), 1 << 20, time.monotonic)
    yield remote
    await remote.close()


async def patiently(remote: RemoteCache, key: bytes) -> Kept | None:
    """The machine may be busy: 5 ms are little."""
    for _ in range(50):
        found = await remote.get(key)
        if found is not None or remote.counts["miss"]:
            return found
    return None


async def test_what_is_put_is_there_for_its_time(remote: RemoteCache, server: RedisServer) -> None:
    await remote._put(KEY, packed(ANSWER, KEY), 50_000, b"")
    assert await patiently(remote, KEY) == ANSWER
    (name,) = server.keys("tidegate:kept:*")
    assert 40_000 < int(server.command("PTTL", name)[1:-2]) <= 50_000


async def test_one_gets_the_lease_until_it_is_given_back(remote: RemoteCache, server: RedisServer) -> None:
    other = RemoteCache(server.url, None, Versions(), 1 << 20, time.monotonic)
    await remote._share()
    await other._share()
    assert await remote.lease(KEY, 30)
    assert not await other.lease(KEY, 30) or other.counts["error"]
    await other._give_back(KEY)  # not its own
    assert server.keys("tidegate:lease:*")
    await remote._give_back(KEY)
    assert not server.keys("tidegate:lease:*")
    await other.close()


async def test_without_patience_there_is_no_lease(remote: RemoteCache, server: RedisServer) -> None:
    assert await remote.lease(KEY, 0)
    assert not server.keys("tidegate:lease:*")


async def test_epochs_are_shared(remote: RemoteCache, server: RedisServer) -> None:
    versions = Versions()
    other = RemoteCache(server.url, None, versions, 1 << 20, time.monotonic)
    remote._versions.bump("m")
    await remote._share()
    await other._share()
    assert remote._versions.unshared() == {}
    assert versions.count("m") == 1
    assert versions.stamp("m") == remote._versions.stamp("m")
    await other.close()


async def test_nobody_there_costs_a_rest_not_a_wait() -> None:
    remote = RemoteCache("redis://127.0.0.1:1/0", None, Versions(), 1 << 20, time.monotonic)
    for _ in range(3):
        assert await remote.get(KEY) is None
    assert remote.counts["error"] == 3
    assert not remote.is_there
    began = time.monotonic()
    for _ in range(1000):
        assert await remote.get(KEY) is None
    assert time.monotonic() - began < 0.5
    assert remote.counts["left_out"] == 1000
    assert await remote.lease(KEY, 30), "nobody else can make it for us"
    await remote.close()
