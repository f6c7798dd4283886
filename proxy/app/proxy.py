"""One proxy: everything put together, started and stopped."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import orjson

from proxy import __version__, build
from proxy.app import descriptors, parts
from proxy.app.drain import Drain
from proxy.app.explain import Explainer
from proxy.app.listeners import Listener, StartError
from proxy.app.prefix_report import untold_caches
from proxy.config.schema import Config
from proxy.live.account import Accounts
from proxy.live.admin import Admin
from proxy.live.attempt import Caller
from proxy.live.background.memory import MemoryGuard, limit_b
from proxy.live.background.prober import Prober
from proxy.live.background.scraper import Scraper
from proxy.live.background.stream_watch import StreamWatch
from proxy.live.catalogue import ModelList
from proxy.live.downstream.bodies import Bodies
from proxy.live.downstream.budget import Budget
from proxy.live.downstream.connection import Edge
from proxy.live.driver import Driver
from proxy.live.exchange import Exchange, Exchanges
from proxy.live.outstanding import Jobs
from proxy.live.own import OwnAnswers
from proxy.live.prompts import Prompts
from proxy.live.request_parser import RequestParser
from proxy.live.response_headers import ResponseHeaders
from proxy.live.scrapes import Scrapes
from proxy.live.short_first import ShortFirst
from proxy.live.tokenizers import Tokenizers
from proxy.live.upstream import backends
from proxy.live.watch import Watch
from proxy.obs.access_log import FLUSH_S
from proxy.obs.logs import Logs
from proxy.obs.process_metrics import Gauges
from proxy.obs.record import Record
from proxy.wire.cors import Cors
from proxy.wire.headers import HeaderPolicy
from proxy.wire.hops import Hops
from proxy.wire.prompts.lint import PrefixLint

_log = logging.getLogger("tidegate")
_FIRST_PROBES_S = 0.8
"""The listener opens after the first answer of every backend, or after this: a dead one must not delay the start."""
_SEND_BUFFER_B = 256 * 1024
"""Kernel buffer per client: what a stalled reader takes before back-pressure shows (Linux grows its own to 4 MB)."""


class Proxy:
    """One running proxy: `start`, then `stop`."""

    def __init__(self, config: Config, rule_lines: Sequence[int] = (), logs: Logs | None = None) -> None:
        """StartError when a file that the configuration names cannot be used. Without `logs` there is no access log."""
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._watch = Watch(self._loop, monotonic)
        self._scheduler = parts.scheduler(config)
        self._driver = Driver(self._scheduler, self._loop, monotonic)
        hops = Hops(secrets.token_hex(6))
        try:
            self._backends = backends.build(config, self._loop, self._watch, hops.line)
        except OSError as error:
            raise StartError(f"Cannot use a CA file of the backends: {error}") from error
        self._models = ModelList(self._scheduler, int(time.time()))
        self._lint = PrefixLint() if config.routing.prefix_lint else None
        self._metrics = parts.metrics(config, self._scheduler, self._gauges, self._lint)
        self._info = parts.config_info(config)
        self._logs = logs
        self._access = parts.access_log(config, logs, self._schedule_flush)
        shares = descriptors.shared(
            descriptors.current_limit(),
            config.limits.connections.max,
            len(config.backends),
            descriptors.of_second_level(config.cache),
        )
        self._descriptors = shares
        for backend in self._backends.values():
            backend.pool.on_opened = self._spare_descriptors
        self._memory = MemoryGuard(
            config.limits.memory,
            lambda: self._edge.close_idle(),  # which is made below: its requests ask for memory
            self._driver.shed_bulk,
        )
        self._tokenizers = Tokenizers({model: Path(name) for model, name in config.tokenizers.items()})
        self._cache = parts.response_cache(config, self._tokenizers, self._loop)
        self._prompts = Prompts(self._lint, parts.named_prompts(config), monotonic)
        self._short_first = ShortFirst(monotonic, is_on=parts.answers_short_first(config))
        self._warmer = parts.warmer(config, self._prompts.named, self._loop)
        job_builder = parts.job_builder(config, self._models, self._prompts)
        self._explainer = Explainer(job_builder, self._scheduler, config.limits, rule_lines)
        running = self._running = set[Exchange]()
        memory = config.limits.memory
        budget = self._budget = Budget(int(limit_b(memory) * memory.bodies))
        self._bodies = Bodies(config.limits, budget, self._loop)
        self._flows = StreamWatch(running, self._driver, self._scheduler.gives_up, self._scheduler.sleeps_on, monotonic)
        cors = Cors(config.cors.origins, config.cors.max_age)
        jobs = Jobs(
            self._driver,
            Caller(self._scheduler, self._tokenizers, config.limits.upstream, self._loop, monotonic),
            self._backends,
            foresees=job_builder.foresees,
            attempts=config.retries.attempts,
            loop=self._loop,
            clock=monotonic,
        )
        exchanges = Exchanges(
            RequestParser(
                config.limits, self._memory, self._bodies, hops, self._backends, forwarded=config.routes.forward
            ),
            OwnAnswers(self._models, job_builder.models_of, self._backends.values(), lambda: self._not_ready, cors),
            job_builder,
            jobs,
            Accounts(budget, job_builder, self._flows, self._scheduler.upstream_model, self._record, monotonic),
            ResponseHeaders(self._scheduler.quota, config.routing.policy, cors, monotonic),
            running,
            self._cache,
            self._short_first,
        )
        self._edge = Edge(
            exchanges.handle,
            limits=config.limits,
            policy=HeaderPolicy(config.headers.forward),
            new_id=parts.id_maker(),
            watch=self._watch,
            loop=self._loop,
            max_connections=shares.clients,
            budget=budget,
        )
        self._admin = Admin(
            why_not_ready=lambda: self._not_ready,
            scrapes=Scrapes(self._metric_pieces, self._loop, monotonic),
            explain=self._explainer.explain,
            cache=self._cache,
            prefix_report=self._prefix_report,
            has_room=self._memory.has_room,
            limits=config.limits,
            watch=self._watch,
            loop=self._loop,
            max_connections=shares.admin,
            budget=budget,
        )
        self._keeper = parts.keeper(config, self._scheduler)
        self._background: list[asyncio.Task[None]] = []
        self._listeners: list[Listener] = []
        self._drain = Drain(running, config.drain)
        self._not_ready: str | None = "starting"
        self.listen_url = self.admin_url = ""

    async def start(self) -> None:
        """Open both listeners. StartError when a port is taken."""
        if self._keeper is not None:
            self._keeper.recall()
        admin = self._listener(self._config.admin, "admin", self._admin.connection)
        self.admin_url = admin.url
        await admin.open()
        clients = self._listener(self._config.listen, "listen", self._edge.connection)
        clients.set_send_buffer(_SEND_BUFFER_B)
        self.listen_url = clients.url
        self._start(self._memory.run())
        if self._cache is not None and self._cache.remote is not None:
            self._start(self._cache.remote.run())
        await self._probe_first()
        await clients.open()
        self._not_ready = None

    async def stop(self, *, drain: bool = True) -> str:
        """Drain (see `DrainSettings`), then close everything; how the drain ended."""
        self._not_ready = "draining"
        if drain:
            await self._drain.readiness()
        for listener in self._listeners[1:]:
            listener.close()
        self._driver.drain()
        if self._cache is not None and self._cache.remote is not None:
            self._cache.remote.is_draining = True
        self._edge.drain()
        how = await self._drain.streams() if drain else ""
        await self._drain.cut()
        if self._keeper is not None:
            await self._keeper.close()
        await self._drain.delivery(self._edge.is_delivering, self._config.limits.connections.write_stall)
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        for backend in self._backends.values():
            backend.pool.close()
        for connection in list(self._edge.connections):
            connection.abort()
        for listener in self._listeners:
            listener.close()
        self._admin.close()
        if self._cache is not None and self._cache.remote is not None:
            await self._cache.remote.close()
        await self._tokenizers.close()
        self._bodies.close()
        if self._access is not None:
            self._access.flush()
        return how

    def hurry(self) -> None:
        """A drain that runs, or would begin, ends now."""
        self._drain.hurry()

    def draining(self) -> str:
        """What there is to drain, and how long that may take."""
        return self._drain.outlook()

    # --- start

    def _listener(self, address: str, option: str, protocol: Callable[[], asyncio.Protocol]) -> Listener:
        listener = Listener(address, option, self._loop, protocol)
        self._listeners.append(listener)
        return listener

    async def _probe_first(self) -> None:
        config = self._config
        probers = [
            Prober(
                backend,
                self._driver,
                self._models,
                config.health,
                config.limits.upstream,
                self._loop,
                identifies=self._keeper is not None,
                versions=None if self._cache is None else self._cache.versions,
                warmer=self._warmer,
            )
            for backend in self._backends.values()
        ]
        first = [self._start(prober.probe()) for prober in probers]
        await asyncio.wait(first, timeout=_FIRST_PROBES_S + (config.warm.timeout if self._warmer is not None else 0.0))
        for prober in probers:
            self._start(prober.run())
        self._start(self._flows.run())
        if self._keeper is not None:
            self._start(self._keeper.run())
        if config.routing.scrape:
            for backend in self._backends.values():
                scraper = Scraper(backend, self._driver, config.limits.upstream, self._loop, config.routing.scrape)
                self._start(scraper.run())

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """A background task; a crash of one is a bug that must be seen."""
        task = asyncio.ensure_future(work)
        task.add_done_callback(_tell_crash)
        self._background.append(task)
        return task

    # --- accounting

    def _record(self, record: Record) -> None:
        if self._config.metrics.requests:
            self._metrics.count(record)
        if self._access is not None:
            self._access.add(record)

    def _metric_pieces(self, is_open: bool) -> Iterator[str]:
        streaming = (exchange.streaming for exchange in self._running)
        self._metrics.meter([stream for stream in streaming if stream is not None])
        return self._metrics.pieces(is_open=is_open)

    def _prefix_report(self) -> bytes:
        told = {} if self._lint is None else self._lint.report()
        return orjson.dumps({**told, "silent": untold_caches(self._backends, self._metrics.silent())})

    def _schedule_flush(self) -> None:
        if self._access is not None:
            self._loop.call_later(FLUSH_S, self._access.flush)

    def _spare_descriptors(self) -> None:
        """A connection to an engine was opened; those that wait for a request are the first to go."""
        pools = [backend.pool for backend in self._backends.values()]
        if sum(pool.open_connections for pool in pools) > self._descriptors.upstream:
            for pool in pools:
                pool.close()

    def _gauges(self) -> Gauges:
        return Gauges(
            len(self._edge.connections),
            self._edge.refused,
            {name: backend.pool.open_connections for name, backend in self._backends.items()},
            self._logs.lost() if self._logs is not None else {},
            self._budget.taken_b,
            self._budget.total_b,
            self._budget.refused,
            None if self._cache is None else self._cache.view(),
            self._prompts.lines_stripped,
            self._prompts.messages_cut,
            self._prompts.assembly,
            self._warmer.requests if self._warmer is not None else {},
            {
                "short": self._short_first.given,
                "expanded": self._short_first.expanded,
                "unknown": self._short_first.unknown,
            },
            len(asyncio.all_tasks()),
            self._watch.lag,
            parts.gpu_memory_b(self._config),
            self._info,
        )

    def banner(self, source: str) -> tuple[str, ...]:
        """Six lines that say where everything is."""
        count = len(self._backends)
        models = ", ".join(self._scheduler.models()[:4]) or "none listed yet"
        return (
            f"tidegate {__version__} ({build()}), configuration {source}",
            f"listening on {self.listen_url}   (base_url: {self.listen_url}/v1)",
            f"admin on {self.admin_url}   (/livez, /readyz, /metrics, /explain, /prefix)",
            f"{count} backend{'s' if count != 1 else ''}: {', '.join(list(self._backends)[:6])}",
            f"models: {models}; policy {self._config.routing.policy}",
            "stop with Ctrl-C or SIGTERM: running answers are finished first; a second one ends at once",
        )


def _tell_crash(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a background task crashed; this is a bug, please report it", exc_info=error)
