"""Who leads, who waits, and what they are told."""

import asyncio

from proxy.core.cache.store import Entry, Shelf
from proxy.live.cache.flights import LEFT, NOTHING, Flights, Landing

KEY = b"k" * 32


def entry() -> Entry:
    return Entry(KEY, None, 1, 0.0, 1.0, Shelf(b""))


async def test_all_who_wait_get_what_the_leader_got() -> None:
    flights = Flights(asyncio.get_running_loop())
    assert flights.find(KEY) is None
    flight = flights.lead(KEY)
    assert flights.find(KEY) is flight
    waiting = [asyncio.ensure_future(flight.landing(5)) for _ in range(10)]
    await asyncio.sleep(0)
    landed = Landing(entry())
    flights.land(flight, landed)
    assert await asyncio.gather(*waiting) == [landed] * 10
    assert len(flights) == 0
    assert await flight.landing(5) is landed, "also whoever comes a moment later"


async def test_the_first_word_counts() -> None:
    flights = Flights(asyncio.get_running_loop())
    flight = flights.lead(KEY)
    flights.land(flight, LEFT)
    flights.land(flight, NOTHING)
    assert await flight.landing(5) is LEFT


async def test_nobody_waits_for_ever() -> None:
    flights = Flights(asyncio.get_running_loop())
    assert await flights.lead(KEY).landing(0.01) is NOTHING


async def test_one_that_waits_and_leaves_harms_nobody() -> None:
    flights = Flights(asyncio.get_running_loop())
    flight = flights.lead(KEY)
    leaves, stays = (asyncio.ensure_future(flight.landing(5)) for _ in range(2))
    await asyncio.sleep(0)
    leaves.cancel()
    await asyncio.sleep(0)
    flights.land(flight, NOTHING)
    assert await stays is NOTHING


async def test_who_insists_on_a_new_answer_leads_from_then_on() -> None:
    flights = Flights(asyncio.get_running_loop())
    old, new = flights.lead(KEY), flights.lead(KEY)
    flights.land(old, NOTHING)
    assert flights.find(KEY) is new
    flights.land(new, NOTHING)
    assert len(flights) == 0
