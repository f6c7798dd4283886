import asyncio

from aiohttp import web

from proxy.live.serving import Serving
from tests.unit.live.test_exchange import CHAT, house, post


async def test_a_request_goes_on_with_what_it_began_with() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def said(request: web.Request) -> web.StreamResponse:
        asked.set()
        await go_on.wait()
        return web.json_response({})

    async with house(said) as one:
        first, told = one.serving, []
        accounts = first.accounts
        other = Serving(
            first.parser,
            first.own,
            first.job_builder,
            first.jobs,
            type(accounts)(
                accounts.budget,
                accounts.job_builder,
                accounts.stream_watch,
                accounts.upstream_model,
                told.append,
                accounts.clock,
                accounts.timings,
            ),
            first.response_headers,
            first.short_first,
        )
        one.client(post(CHAT))
        await asked.wait()
        one.exchanges.serving = other
        one.client(post(CHAT))
        go_on.set()
        record = await one.told()
        assert record.status == 200
        async with asyncio.timeout(5):
            while not told:
                await asyncio.sleep(0.001)
        assert [made.status for made in told] == [200], "whoever came later is told of elsewhere"
