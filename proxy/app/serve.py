"""`tidegate serve`: everything put together, started, and drained on SIGTERM."""

import asyncio
import gc
import itertools
import logging
import os
import random
import resource
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import uvloop
from aiohttp import web

from proxy import __version__, build
from proxy.app.explain import Explainer
from proxy.config.address import parse_address
from proxy.config.schema import Config
from proxy.core.classify import Classifier
from proxy.core.permitted import Permitted
from proxy.core.policies import FORESEEING
from proxy.core.scheduler import Scheduler
from proxy.core.ways import Ways
from proxy.live import backends
from proxy.live.admin import build_app
from proxy.live.attempt import Caller
from proxy.live.catalogue import ModelList
from proxy.live.driver import Driver
from proxy.live.edge import Edge
from proxy.live.exchange import Exchange, Gateway
from proxy.live.flows import Flows
from proxy.live.intake import Intake
from proxy.live.memory import MemoryGuard
from proxy.live.prober import Prober
from proxy.live.scraper import Scraper
from proxy.live.tokenizers import Tokenizers
from proxy.live.watch import Watch
from proxy.model.classes import with_built_in
from proxy.model.faults import Kind, internal
from proxy.obs import logs
from proxy.obs.access_log import FLUSH_S, AccessLog
from proxy.obs.metrics import Gauges, Metrics
from proxy.obs.record import Record
from proxy.wire.cors import Cors
from proxy.wire.headers import HeaderPolicy

_log = logging.getLogger("tidegate")
_FIRST_PROBES_S = 0.8
"""The listener opens after the first answer of every backend, or after this: a dead one must not delay the start."""
_SEND_BUFFER_B = 256 * 1024
"""Kernel buffer per client: what a stalled reader takes before back-pressure shows (Linux grows its own to 4 MB)."""
_BACKLOG = 1024


class StartError(Exception):
    """The proxy cannot start; the message says why and what to do."""


class Proxy:
    """One running proxy: `start`, then `stop`."""

    def __init__(self, config: Config, rule_lines: Sequence[int] = ()) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._watch = Watch(self._loop)
        self._scheduler = _scheduler(config)
        self._driver = Driver(self._scheduler, self._loop)
        try:
            self._backends = backends.build(config, self._loop, self._watch)
        except OSError as error:
            raise StartError(f"Cannot use a CA file of the backends: {error}") from error
        self._models = ModelList(self._scheduler, int(time.time()))
        self._metrics = Metrics(self._scheduler, self._gauges, monotonic)
        self._access = AccessLog(config.log.format, _write_stdout, time.time, self._schedule_flush)
        self._memory = MemoryGuard(
            config.limits.memory, lambda: self._edge.close_idle(), lambda: self._driver.shed_bulk()
        )
        self._tokenizers = Tokenizers({model: Path(name) for model, name in config.tokenizers.items()})
        intake = _intake(config, self._models)
        self._explainer = Explainer(intake, self._scheduler, config.limits, rule_lines)
        running = set[Exchange]()
        self._flows = Flows(running, self._driver, self._scheduler.gives_up)
        self._gateway = Gateway(
            driver=self._driver,
            scheduler=self._scheduler,
            caller=Caller(self._scheduler, self._tokenizers, config.limits.upstream, self._loop),
            backends=self._backends,
            models=self._models,
            intake=intake,
            policy=config.routing.policy,
            limits=config.limits,
            attempts=config.retries.attempts,
            memory=self._memory,
            flows=self._flows,
            cors=Cors(config.cors.origins, config.cors.max_age),
            record=self._record,
            running=running,
        )
        self._edge = Edge(
            self._gateway.handle,
            limits=config.limits,
            policy=HeaderPolicy(config.headers.forward),
            new_id=_id_maker(),
            watch=self._watch,
            loop=self._loop,
            max_connections=_max_connections(config.limits.connections.max),
        )
        self._background: list[asyncio.Task[None]] = []
        self._server: asyncio.Server | None = None
        self._admin: web.AppRunner | None = None
        self._not_ready: str | None = "starting"
        self.listen_url = self.admin_url = ""

    async def start(self) -> None:
        """Open both listeners. StartError when a port is taken."""
        self._admin = web.AppRunner(
            build_app(lambda: self._not_ready, self._render_metrics, self._explainer.explain), access_log=None
        )
        await self._admin.setup()
        admin_socket = _bind(self._config.admin, "admin")
        self.admin_url = _url(admin_socket)
        await web.SockSite(self._admin, admin_socket).start()
        client_socket = _bind(self._config.listen, "listen")
        client_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_B)
        self.listen_url = _url(client_socket)
        self._start(self._memory.run())
        await self._probe_first()
        self._server = await self._loop.create_server(self._edge.connection, sock=client_socket, backlog=_BACKLOG)
        self._not_ready = None

    async def stop(self, *, drain: bool = True) -> None:
        """Drain (see `DrainSettings`), then close everything."""
        settings = self._config.drain
        self._not_ready = "draining"
        if drain:
            await asyncio.sleep(settings.readiness)
        if self._server is not None:
            self._server.close()
        self._driver.drain()
        self._edge.drain()
        if drain:
            await self._until_idle(settings.streams)
        await self._cut_the_rest()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for backend in self._backends.values():
            backend.pool.close()
        for connection in list(self._edge.connections):
            connection.abort()
        if self._admin is not None:
            await self._admin.cleanup()
        await self._tokenizers.close()
        self._access.flush()

    # --- start

    async def _probe_first(self) -> None:
        config = self._config
        probers = [
            Prober(backend, self._driver, self._models, config.health, config.limits.upstream, self._loop)
            for backend in self._backends.values()
        ]
        first = [self._start(prober.probe()) for prober in probers]
        await asyncio.wait(first, timeout=_FIRST_PROBES_S)
        for prober in probers:
            self._start(prober.run())
        if _foresees(config):
            self._start(self._flows.run())
        if config.routing.scrape and _foresees(config):
            for backend in self._backends.values():
                scraper = Scraper(backend, self._driver, config.limits.upstream, self._loop, config.routing.scrape)
                self._start(scraper.run())

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A background task; a crash of one is a bug that must be seen."""
        task = asyncio.ensure_future(work)
        task.add_done_callback(_tell_crash)
        self._background.append(task)
        return task

    # --- stop

    async def _until_idle(self, limit_s: float) -> None:
        end = monotonic() + limit_s
        while self._gateway.running and monotonic() < end:  # noqa: ASYNC110 - at most once in a process's life
            await asyncio.sleep(0.02)

    async def _cut_the_rest(self) -> None:
        for exchange in list(self._gateway.running):
            exchange.cut(internal(Kind.DRAINING, "Tidegate is shutting down; please try again.", retry_after_s=1.0))
        await self._until_idle(1.0)
        await asyncio.sleep(0.05)  # the last writes leave

    # --- accounting

    def _record(self, record: Record) -> None:
        self._metrics.count(record)
        if self._config.log.access:
            self._access.add(record)

    def _render_metrics(self) -> bytes:
        for exchange in self._gateway.running:
            exchange.tell_gaps(self._metrics.take_gaps)
        return self._metrics.render()

    def _schedule_flush(self) -> None:
        self._loop.call_later(FLUSH_S, self._access.flush)

    def _gauges(self) -> Gauges:
        return Gauges(
            len(self._edge.connections),
            self._edge.refused,
            {name: backend.pool.open_connections for name, backend in self._backends.items()},
        )

    def banner(self, source: str) -> str:
        """Six lines that say where everything is."""
        count = len(self._backends)
        models = ", ".join(self._scheduler.models()[:4]) or "none listed yet"
        return "\n".join(
            (
                f"tidegate {__version__} ({build()}), configuration {source}",
                f"  listening on {self.listen_url}   (base_url: {self.listen_url}/v1)",
                f"  admin on {self.admin_url}   (/livez, /readyz, /metrics, /explain)",
                f"  {count} backend{'s' if count != 1 else ''}: {', '.join(list(self._backends)[:6])}",
                f"  models: {models}; policy {self._config.routing.policy}",
                "  stop with Ctrl-C or SIGTERM: running answers are finished first",
            )
        )


def run(config: Config, source: str, rule_lines: Sequence[int] = ()) -> int:
    """Serve until SIGTERM or SIGINT; the exit code."""
    logs.configure(config.log.level, config.log.format)
    try:
        return uvloop.run(_serve(config, source, rule_lines))
    except StartError as error:
        print(f"tidegate: {error}", file=sys.stderr)
        return 1


async def _serve(config: Config, source: str, rule_lines: Sequence[int]) -> int:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    proxy = Proxy(config, rule_lines)
    await proxy.start()
    gc.collect()
    gc.freeze()  # what the start left will never be garbage: a full collection need not look at it
    print(proxy.banner(source), file=sys.stderr, flush=True)
    await stopping.wait()
    _log.info("draining")
    await proxy.stop()
    return 0


def _tell_crash(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a background task crashed; this is a bug, please report it", exc_info=error)


def _scheduler(config: Config) -> Scheduler:
    return Scheduler(
        config.specs(),
        scheduling=config.routing.scheduling(),
        retries=config.retries,
        hold=config.hold,
        health=config.health,
        rng=random.Random(),  # noqa: S311 - ties between backends, not secrets
    )


def _intake(config: Config, models: ModelList) -> Intake:
    routing = config.routing
    classifier = Classifier(with_built_in(config.classes), routing.rules, routing.bulk_tokens)
    ways = Ways(config.classes, routing.models)
    permitted = Permitted(routing.tenants)
    return Intake(classifier, models, routing.default_model, ways, permitted, foresees=_foresees(config))


def _foresees(config: Config) -> bool:
    """Whether anybody looks at predictions: else nothing is done for them."""
    routing = config.routing
    mode = routing.admission.mode
    hedges = any(entry.hedge.rule() is not None for entry in config.classes)
    return hedges or routing.policy in FORESEEING or mode not in (None, "off")


def _id_maker() -> Callable[[], str]:
    """Request ids that are unique across restarts and cheap: a random prefix and a counter."""
    prefix = f"req-{secrets.token_hex(6)}-"
    numbers = itertools.count(1)
    return lambda: f"{prefix}{next(numbers):x}"


def _max_connections(wanted: int) -> int:
    """At most half of what this process may open: every client may need a backend connection too."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, soft // 2)


def _bind(address: str, option: str) -> socket.socket:
    parsed = parse_address(address)
    host, port = parsed.host, parsed.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        reason = (error.strerror or str(error)).lower()
        raise StartError(f"Cannot listen on {address}: {reason}. Choose another with --{option}.") from error
    bound.setblocking(False)
    return bound


def _url(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _write_stdout(lines: bytes) -> None:
    view = memoryview(lines)
    while view:
        view = view[os.write(1, view) :]
