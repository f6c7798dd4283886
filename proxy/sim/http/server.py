"""A simulated backend on a socket: routes, errors, test instruments.

Owns the HTTP server and which handler answers what. aiohttp's server is good enough here: this is an instrument, not
the data path. The faults that a test may ask for are in the table of `proxy.sim.http.faults`.

Instruments: `GET /sim/state` (`in_flight`, `aborted` and `finished` requests of the API; `running` and `waiting` in the
engine; open `connections` other than the asking one), `GET /sim/requests` (the last 64 requests), `POST /sim/faults`,
`POST /sim/reset` (no default faults, no memory, listener open).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from aiohttp import web

from proxy.sim.engine.static import build_engine
from proxy.sim.http import faults as fault_names
from proxy.sim.http import refusal
from proxy.sim.http.api import VERSION, Handle, SimApi
from proxy.sim.http.driver import EngineDriver
from proxy.sim.http.exposition import Exposition, Latencies
from proxy.sim.http.faults import BackendFaults
from proxy.sim.http.fields import parse_object
from proxy.sim.http.recorder import Recorder
from proxy.sim.http.refusal import Refusal
from proxy.sim.http.settings import SimSettings
from proxy.sim.http.shapes import Json, encode
from proxy.sim.http.text import rng_for
from proxy.sim.http.wire import BASE_HEADERS, StreamOver, Wire

REQUEST_ID_MAX = 128


class SimServer:
    """One simulated backend. `start`, then `url`; `stop` ends it, answers in progress included."""

    def __init__(self, settings: SimSettings) -> None:
        self.settings = settings
        self.recorder = Recorder()
        self._default_faults: dict[str, str] = {}
        self._health_status = 200
        self._answers = count(1)
        self._listener: asyncio.Server | None = None
        self._runner: web.AppRunner | None = None
        self._port = settings.port

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Listen. Raises OSError when the address is taken."""
        self._driver = EngineDriver(build_engine(self.settings.spec), self.settings.speed)
        latencies = Latencies(self.settings.models[0])
        self._api = SimApi(self.settings, self._driver, latencies)
        self._exposition = Exposition(self.settings, self._driver, latencies)
        self._runner = web.AppRunner(
            self._application(),
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=self.settings.keepalive_s,
            shutdown_timeout=0.0,
        )
        await self._runner.setup()
        await self._listen()

    async def stop(self) -> None:
        """End everything now."""
        self._close_listener()
        if self._runner is not None:
            await self._runner.cleanup()
        self._driver.close()

    async def reset(self) -> None:
        """No default faults, no memory, listener open."""
        self.recorder.reset()
        await self._set_faults({}, BackendFaults())

    async def set_faults(self, body: dict[str, Any]) -> None:
        """What `POST /sim/faults` does. Raises Refusal."""
        await self._set_faults(*fault_names.read_defaults(body))

    async def _set_faults(self, defaults: dict[str, str], backend: BackendFaults) -> None:
        self._default_faults = defaults
        self._driver.change_spec(self.settings.spec.slowed(backend.slower))
        self._health_status = backend.health
        self._api.models_status = backend.models
        if backend.refuse:
            self._close_listener()
        elif self._listener is None:
            await self._listen()

    def state(self) -> Json:
        """What `GET /sim/state` answers, the asking connection included in `connections`."""
        assert self._runner is not None
        assert self._runner.server is not None
        engine = self._driver.engine
        return {
            "in_flight": self.recorder.in_flight,
            "waiting": engine.waiting,
            "running": engine.running,
            "aborted": self.recorder.aborted,
            "finished": self.recorder.finished,
            "connections": len(self._runner.server.connections),
        }

    # listening

    async def _listen(self) -> None:
        assert self._runner is not None
        assert self._runner.server is not None
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            self._runner.server, self.settings.host, self._port, backlog=1024, reuse_address=True
        )
        for listening in self._listener.sockets:
            if listening.family in {socket.AF_INET, socket.AF_INET6}:
                self._port = listening.getsockname()[1]

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    # routes

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=self.settings.body_max_bytes, middlewares=[self._dispatch])
        for path, handle in self._api.posts().items():
            app.router.add_post(path, self._faulty(handle))
        for path, handle in self._api.gets().items():
            app.router.add_get(path, self._faulty(handle), allow_head=False)
        for path, plain in (("/health", self._health), ("/version", self._version), ("/metrics", self._metrics)):
            app.router.add_get(path, plain, allow_head=False)
        app.router.add_get("/sim/state", self._sim_state)
        app.router.add_get("/sim/requests", self._sim_requests)
        app.router.add_post("/sim/reset", self._sim_reset)
        app.router.add_post("/sim/faults", self._sim_faults)
        return app

    @web.middleware
    async def _dispatch(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Recording, the API key, and errors as vLLM words them."""
        try:
            if not request.path.startswith("/sim/"):
                await self.recorder.keep(request)
            self._check_key(request)
            return await handler(request)
        except Refusal as refused:
            return _plain(refused.status, encode(refused.body))
        except web.HTTPNotFound:
            return _plain(404, encode(refusal.not_found().body))
        except web.HTTPMethodNotAllowed as error:
            return _plain(405, encode(refusal.method_not_allowed().body), {"allow": ",".join(error.allowed_methods)})
        except web.HTTPRequestEntityTooLarge:
            return _plain(413, encode(Refusal(413, "Request Entity Too Large", "body too large").body))

    def _check_key(self, request: web.Request) -> None:
        key = self.settings.api_key
        guarded = key is not None and request.path.startswith(("/v1", "/v2"))
        if guarded and request.headers.get("authorization") != f"Bearer {key}":
            raise refusal.unauthorized()

    def _faulty(self, handle: Handle) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """A handler of the API: counted, and with the faults of its request."""

        async def counted(request: web.Request) -> web.StreamResponse:
            self.recorder.in_flight += 1
            try:
                response = await self._with_faults(request, handle)
            except asyncio.CancelledError:
                self.recorder.aborted += 1
                raise
            except ConnectionResetError:  # the client left, and a write noticed it before aiohttp did: the same ending
                self.recorder.aborted += 1
                raise asyncio.CancelledError from None
            finally:
                self.recorder.in_flight -= 1
            self.recorder.finished += 1
            return response

        return counted

    async def _with_faults(self, request: web.Request, handle: Handle) -> web.StreamResponse:
        defaults = self._default_faults if request.method == "POST" else {}
        faults = fault_names.read_faults(request.headers, defaults)
        request_id = request.headers.get("x-request-id", "")[:REQUEST_ID_MAX] or self._new_id()
        wire = Wire(request, faults, request_id)
        await wire.before_head()
        if faults.status is not None:
            more = {"retry-after": faults.retry_after} if faults.retry_after else None
            return await wire.whole(faults.status, encode(refusal.server_error(faults.status).body), more)
        try:
            return await handle(request, wire, faults)
        except Refusal as refused:
            return await wire.whole(refused.status, encode(refused.body))
        except StreamOver as over:
            return over.response

    def _new_id(self) -> str:
        return f"{rng_for(self.settings.name, self.settings.seed, next(self._answers)).getrandbits(64):016x}"

    async def _health(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=self._health_status, headers=BASE_HEADERS)

    async def _version(self, _: web.Request) -> web.StreamResponse:
        return _plain(200, encode({"version": VERSION}))

    async def _metrics(self, _: web.Request) -> web.StreamResponse:
        return web.Response(
            body=self._exposition.text(),
            headers={**BASE_HEADERS, "content-type": "text/plain; version=1.0.0; charset=utf-8"},
        )

    # instruments

    async def _sim_state(self, _: web.Request) -> web.StreamResponse:
        state = self.state()
        return _plain(200, encode({**state, "connections": state["connections"] - 1}))

    async def _sim_requests(self, _: web.Request) -> web.StreamResponse:
        return _plain(200, encode(self.recorder.as_json()))

    async def _sim_reset(self, _: web.Request) -> web.StreamResponse:
        await self.reset()
        return _plain(200, encode({"ok": True}))

    async def _sim_faults(self, request: web.Request) -> web.StreamResponse:
        await self.set_faults(parse_object(await request.read(), "application/json"))
        return _plain(200, encode({"ok": True}))


def _plain(status: int, body: bytes, more: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, body=body, headers={**BASE_HEADERS, "content-type": "application/json", **(more or {})}
    )
