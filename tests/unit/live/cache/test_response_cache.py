"""What people see of the cache and do with it; what it has to do with a request."""

from tests.unit.live.cache.desk import WHOLE, Desk
from tests.unit.live.test_job import BAD, bed

GOOD = (200, WHOLE)


async def test_what_is_kept_is_told() -> None:
    async with bed(GOOD, BAD) as one:
        desk = Desk(one)
        assert desk.cache.view().entries == 0
        await desk.asked()
        view = desk.cache.view()
        assert (view.entries, view.scopes, view.stored, view.waiting, view.remote) == (1, 1, 1, 0, {})
        assert len(WHOLE) < view.used_b < view.size_b


async def test_a_bump_counts_and_voids() -> None:
    async with bed(GOOD, GOOD) as one:
        desk = Desk(one)
        await desk.asked()
        assert [desk.cache.bump("other", ""), desk.cache.bump("m", ""), desk.cache.bump("m", "")] == [1, 1, 2]
        assert (await desk.asked())[0] == "miss"
        assert desk.cache.view().bumps == 3


async def test_no_store_and_what_is_too_large_to_be_read_whole() -> None:
    async with bed(GOOD, GOOD) as one:
        desk = Desk(one)
        for more in ({"cache_control": b"no-store"}, {"user": "x" * (1 << 20)}):
            use, job = desk.begin(**more)  # type: ignore[arg-type]
            assert (use.said, use.tap) == ("bypass", None)
            desk.end(use, job, is_served=False)
