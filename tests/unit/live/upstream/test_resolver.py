"""Names are looked up in threads that nobody waits for longer than the deadline."""

import asyncio
import threading

import pytest

from proxy.live.upstream.resolver import MAX_THREADS, Resolver


async def test_this_machine_knows_itself_in_both_families() -> None:
    resolver = Resolver()
    assert await resolver("localhost", "ipv4") == ("127.0.0.1",)
    assert await resolver("127.0.0.2", "all") == ("127.0.0.2",)
    assert await resolver("::1", "all") == ("::1",)
    with pytest.raises(OSError, match=r"[a-z]"):
        await resolver("127.0.0.1", "ipv6")


@pytest.mark.parametrize("host", ["nothing.invalid", "a" * 64 + ".invalid"])
async def test_a_name_that_nobody_knows_fails_with_words(host: str) -> None:
    with pytest.raises(OSError, match=r"[a-z]"):
        await Resolver(deadline_s=60.0)(host, "all")


async def test_an_address_that_is_told_twice_is_one() -> None:
    assert await Resolver(lambda _host, _family: ["b", "a", "b"])("x", "all") == ("b", "a")


async def test_a_lookup_that_hangs_is_left_and_not_begun_again_before_it_is_back() -> None:
    gate = threading.Event()

    def hang(host: str, _family: int) -> list[str]:
        if host == "slow":
            gate.wait()
        return ["10.0.0.1"]

    resolver = Resolver(hang, deadline_s=0.05)
    with pytest.raises(OSError, match=r"no answer within 0\.05 s"):
        await resolver("slow", "all")
    with pytest.raises(OSError, match="has not come back"):
        await resolver("slow", "all")
    gate.set()
    while resolver._out:
        await asyncio.sleep(0.01)
    resolver._deadline_s = 60.0
    assert await resolver("slow", "all") == ("10.0.0.1",)


async def test_threads_that_hang_are_bounded() -> None:
    gate = threading.Event()
    resolver = Resolver(lambda _host, _family: ["10.0.0.1"] * gate.wait(), deadline_s=0.05)
    before = threading.active_count()
    try:
        told = await asyncio.gather(*[resolver(f"n{i}", "all") for i in range(50)], return_exceptions=True)
        assert all(isinstance(one, OSError) for one in told)
        assert threading.active_count() <= before + MAX_THREADS
    finally:
        gate.set()
    while resolver._out:
        await asyncio.sleep(0.01)
