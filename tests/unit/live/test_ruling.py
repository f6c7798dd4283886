"""What is known of a backend when an attempt failed there."""

import asyncio

import pytest

from proxy.live.attempt import Try
from proxy.live.relay import Relay
from proxy.live.ruling import heeded, tell
from proxy.model.commands import Dispatch, Remaining
from proxy.model.faults import Kind, upstream
from tests.unit.live.shared_bed import SharedBed, shared_bed


def attempt(bed: SharedBed) -> tuple[Try, Relay]:
    job = bed.embedding("a")
    backend = bed.backends["a"]
    relay = bed.jobs.caller.relay(job._call, backend)
    return Try(Dispatch((1,), "a", 1), job._call, backend, relay, bed.driver), relay


async def test_a_backend_that_was_not_reached_is_looked_for() -> None:
    async with shared_bed("http://127.0.0.1:1", 1) as bed:
        one, _ = attempt(bed)
        tell(one.backend, one, upstream(Kind.CONNECT, "nobody there"))
        assert one.backend.is_lost.is_set()


async def test_one_that_answered_an_error_is_there() -> None:
    async with shared_bed("http://127.0.0.1:1", 1) as bed:
        one, relay = attempt(bed)
        relay.on_head(500, [], 1.0)
        relay.on_end()
        await asyncio.wait_for(relay.ready, 1)
        fault = heeded(one)
        assert fault is not None
        tell(one.backend, one, fault)
        assert not one.backend.is_lost.is_set()


async def test_a_good_answer_is_no_fault() -> None:
    async with shared_bed("http://127.0.0.1:1", 1) as bed:
        one, relay = attempt(bed)
        relay.on_head(200, [], 1.0)
        relay.on_end()
        assert heeded(one) is None


@pytest.mark.parametrize("key", [None, "sk-cloud"])
async def test_what_is_left_of_a_quota_is_told_where_the_key_is_the_operators(key: str | None) -> None:
    async with shared_bed("http://127.0.0.1:1", 1) as bed:
        one, relay = attempt(bed)
        one.backend._key_line = None if key is None else key.encode()
        relay.on_head(200, [(b"x-ratelimit-remaining-requests", b"3"), (b"x-ratelimit-reset-requests", b"2s")], 1.0)
        relay.on_end()
        await asyncio.wait_for(relay.ready, 1)
        assert heeded(one) is None
        assert bed.scheduler.reports == ([] if key is None else [Remaining(1, 3.0, 2.0)])
