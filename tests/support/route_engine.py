"""An engine whose every route answers what the test says: for what is asked of engines beside requests."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Answers = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RouteEngine:
    """Routes by path: a value (sent as JSON), a pair of status and text, or a function."""

    def __init__(self, routes: dict[str, Any], server: str = "uvicorn") -> None:
        self.routes = routes
        self.server = server
        self.asked: Counter[str] = Counter()
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        """Listens; on the same port as before after a `stop`."""
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Nothing listens there any more."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def stop_listening(self) -> None:
        """As `stop`, but what is open stays open."""
        assert self._runner is not None
        for site in self._runner.sites:
            server = getattr(site, "_server", None)
            assert server is not None
            server.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        found = self.routes.get(request.path, (404, "404 page not found"))
        if callable(found):
            answer: web.StreamResponse = await found(request)
        elif isinstance(found, tuple):
            answer = web.Response(status=found[0], text=found[1])
        else:
            answer = web.json_response(found)
        if not answer.prepared:
            answer.headers["server"] = self.server
        return answer


@asynccontextmanager
async def route_engine(routes: dict[str, Any], server: str = "uvicorn") -> AsyncIterator[RouteEngine]:
    """One that listens."""
    engine = RouteEngine(routes, server)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


def listed(*entries: dict[str, Any]) -> dict[str, Any]:
    """A model list."""
    return {"object": "list", "data": list(entries)}


def model(name: str, owner: str = "vllm", created: int = 1_700_000_000, **more: Any) -> dict[str, Any]:
    """One entry of it."""
    return {"id": name, "object": "model", "created": created, "owned_by": owner, **more}
