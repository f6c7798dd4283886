"""One proxy: everything put together, started, configured anew and stopped."""

import asyncio
import socket
import ssl
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

import orjson

from proxy import __version__, build
from proxy.app import descriptors, parts
from proxy.app.attendants import FIRST_PROBES_S, Attendants
from proxy.app.batches import KeptBatches
from proxy.app.candidate import Candidate, candidate
from proxy.app.configured import Commit, Configured
from proxy.app.console import Shown
from proxy.app.drain import Drain
from proxy.app.explain import Explainer
from proxy.app.kept_answers import KeptAnswers
from proxy.app.lasting import Lasting, bodies_b, files_of, lasting_of
from proxy.app.listeners import Listener
from proxy.app.prefix_report import untold_caches
from proxy.app.servings import Servings
from proxy.app.tasks import watched
from proxy.app.workers.seat import ALONE, Seat
from proxy.config.schema import Config
from proxy.core.jobs.retry_budget import RetryBudget
from proxy.live.admin import Admin, AdminRoute
from proxy.live.checker import Checker
from proxy.live.downstream.connection import Edge
from proxy.live.exchange import Exchanges
from proxy.live.gate import Gate
from proxy.live.owners import Owners
from proxy.live.scrapes import Scrapes
from proxy.live.structured import StructuredAnswers
from proxy.live.timings import Timings
from proxy.live.tunnel import Tunnels
from proxy.obs.access_log import FLUSH_S
from proxy.obs.config_metrics import ConfigState
from proxy.obs.logs import Logs
from proxy.obs.process_metrics import Gauges
from proxy.obs.record import Record
from proxy.obs.stage_metrics import StageMetrics
from proxy.obs.worsening import Tally
from proxy.wire.headers import HeaderPolicy
from proxy.wire.prompts.lint import PrefixLint

_TELL_TIME_S = 10.0
_SEND_BUFFER_B = 256 * 1024
"""Kernel buffer per client: what a stalled reader takes before back-pressure shows (Linux grows its own to 4 MB)."""


class Proxy:
    """One running proxy: `start`, then `stop`; in between `configured` takes other configurations."""

    def __init__(
        self,
        config: Config,
        rule_lines: Sequence[int] = (),
        logs: Logs | None = None,
        config_state: ConfigState | None = None,
        seat: Seat = ALONE,
    ) -> None:
        """StartError when a file that the configuration names cannot be used. Without `logs` there is no access log;
        `config_state`: told of in the metrics; `seat`: among the workers."""
        self._seat = seat
        self._config_state = config_state
        first = candidate(config, tuple(rule_lines))
        self._config = config
        self._tls, self._admin_tls = first.tls, first.tls if config.tls.admin else None
        self._tls_ends = first.tls_ends
        self._loop = asyncio.get_running_loop()
        self._lasting = lasting = lasting_of(config, self._loop, lambda: self._edge.close_idle(), seat)
        self._scheduler, self._backends, self._running = lasting.scheduler, lasting.backends, lasting.running
        self._driver = lasting.driver
        self._logs = logs
        self._access = parts.access_logs(config, logs, self._schedule_flush, lasting.scheduler.facts)
        self._descriptors = descriptors.shares(config)
        self._lint = PrefixLint() if config.routing.prefix_lint else None
        self._stages = StageMetrics(config.stages, parts.model_labels(config, self._scheduler))
        self._structured = StructuredAnswers(
            Checker(monotonic), self._stages.structured, RetryBudget(config.retries), monotonic
        )
        self._timings = Timings(config.timings, self._stages, monotonic)
        self._metrics = parts.metrics(config, self._scheduler, self._gauges, self._lint, self._stages)
        self._cache = KeptAnswers(config, lasting.tokenizers, self._loop)
        self._warmer = parts.warmer(config, first.named, self._loop)
        self._tunnels = Tunnels()
        self._owners = Owners(config.limits.stored, lambda: self._cache.owners)
        self._keeper = parts.keeper(config, self._scheduler, self._owners)
        self._slos = parts.slos(config)
        self._telemetry = parts.telemetry(config, self._backends)
        self._gate = Gate(config.auth, config.tenants, time.time, config.headers.client, config.headers.trust)
        self._not_ready: str | None = "starting"
        self._shown = Shown(
            config,
            self._scheduler,
            self._metrics,
            self._gauges,
            self._slos.shown,
            lambda: self._not_ready,
            config_state,
        )
        self._attendants = Attendants(
            lasting,
            first,
            identifies=self._keeper is not None,
            on_opened=self._spare_descriptors,
            on_gone=self._forget_backend,
        )
        self._batches = KeptBatches(config, self._loop)
        self._servings = Servings(
            lasting,
            self.record if seat.tell is None else self._tell,
            lambda: self._not_ready,
            self._timings,
            self._structured,
            self._owners,
            self._tunnels,
            self._batches.api,
        )
        self._exchanges = Exchanges(self._servings.make(first, self._cache.now, self._lint), lasting.running)
        self._servings.short_first.is_on = parts.answers_short_first(config)
        self._explainer = self._explains(first)
        new_id = parts.id_maker()
        self._edge = Edge(
            self._exchanges.handle,
            limits=config.limits,
            policy=HeaderPolicy(config.headers.forward),
            new_id=new_id,
            watch=lasting.watch,
            loop=self._loop,
            max_connections=self._descriptors.clients,
            budget=lasting.budget,
            gate=self._gate.admit,
            uploads=self._batches.uploads,
        )
        self._batches.connect(self._edge, self._exchanges, self._loop)
        self._edge.terms.tunnels = config.realtime.connections > 0
        self._admin = Admin(
            why_not_ready=lambda: self._not_ready,
            scrapes=Scrapes(self._metric_pieces, self._loop, monotonic),
            explain=lambda path, headers, body, tenant: self._explainer.explain(path, headers, body, tenant),
            key=parts.admin_key(config),
            cache=self._cache.now,
            prefix_report=self._prefix_report,
            slo_report=self._slo_report,
            has_room=lasting.memory.has_room,
            limits=config.limits,
            watch=lasting.watch,
            loop=self._loop,
            max_connections=self._descriptors.admin,
            budget=lasting.budget,
            console=self._shown.console(self._exchanges.handle, self._loop, self._descriptors.admin),
            hosts=config.console.hosts,
            new_id=new_id,
        )
        self._background: list[asyncio.Task[None]] = []
        self._listeners: list[Listener] = []
        self._drain = Drain(lasting.running, config.drain, seat.others)
        self.listen_url = self.admin_url = ""
        self.configured = Configured()
        """Who takes another configuration."""
        self.configured.register(
            self._take_scheduling,
            self._take_serving,
            self._take_limits,
            self._take_slos,
            self._take_logs,
            self._take_telemetry,
            self._take_attendants,
            self._take_tls,
            self._shown.take,
        )

    def add_admin_routes(self, routes: Mapping[str, AdminRoute]) -> None:
        """More that the admin port knows."""
        self._admin.add_routes(routes)

    @property
    def config(self) -> Config:
        """What is in place."""
        return self._config

    @property
    def lasting(self) -> Lasting:
        """What outlives its configurations."""
        return self._lasting

    def tally(self) -> Tally:
        """What a change of the configuration is judged by."""
        return self._metrics.tally()

    async def meet(self, new: Candidate) -> None:
        """The engines that it brings, before it is put in place."""
        warmer = parts.warmer(new.config, new.named, self._loop, self._warmer)
        await self._attendants.meet(new, warmer)

    # --- another configuration: how each part takes one

    def _take_scheduling(self, new: Candidate) -> Commit:
        """Whoever is new can be connected to before anything is sent there."""
        settings = parts.core_settings(new.config)

        def commit() -> None:
            self._attendants.welcome(new)
            self._driver.reconfigure(new.config.specs(), settings, self._attendants.heard())

        return commit

    def _take_serving(self, new: Candidate) -> Commit:
        """Requests that come from then on are served by it; those under way go on as they began."""
        lint = (self._lint or PrefixLint()) if new.config.routing.prefix_lint else None
        cache, keep = self._cache.prepare(new.config)
        serving = self._servings.make(new, cache, lint, self._exchanges.serving)

        def commit() -> None:
            keep()
            self._lint = self._metrics.lint = lint
            self._stages.configure(new.config.stages)
            self._stages.structured.know(parts.named_models(new.config))
            self._structured.configure(new.config.retries, is_on=parts.validates(new.config))
            self._timings.configure(new.config.timings)
            self._metrics.know(parts.named_models(new.config), parts.named_tenants(new.config))
            self._exchanges.serving = serving
            headers = new.config.headers
            self._gate.configure(new.config.auth, new.config.tenants, headers.client, headers.trust)
            self._servings.short_first.is_on = parts.answers_short_first(new.config)
            self._explainer = self._explains(new)

        return commit

    def _take_limits(self, new: Candidate) -> Commit:
        def commit() -> None:
            limits, lasting = new.config.limits, self._lasting
            shares = self._descriptors = descriptors.shares(new.config)
            lasting.memory.configure(limits.memory)
            lasting.budget.resize(bodies_b(new.config))
            lasting.bodies.configure(limits)
            lasting.tokenizers.configure(files_of(new.config))
            self._owners.configure(limits.stored)
            self._edge.configure(limits, HeaderPolicy(new.config.headers.forward), shares.clients)
            self._edge.terms.tunnels = new.config.realtime.connections > 0
            self._admin.configure(
                limits, self._cache.now, shares.admin, new.config.console.hosts, parts.admin_key(new.config)
            )
            self._drain.configure(new.config.drain)

        return commit

    def _take_slos(self, new: Candidate) -> Commit:
        return lambda: self._slos.configure(new.config.slos)

    def _take_logs(self, new: Candidate) -> Commit:
        def commit() -> None:
            self._flush()
            self._access = parts.access_logs(new.config, self._logs, self._schedule_flush, self._scheduler.facts)
            if self._logs is not None:
                self._logs.configure(new.config.log.level, new.config.log.format)

        return commit

    def _take_telemetry(self, new: Candidate) -> Commit:
        """What is the same goes on with its counts; another one begins anew, and the old one sends what it has."""
        if new.config.telemetry == self._config.telemetry:
            return lambda: None
        telemetry = parts.telemetry(new.config, self._backends)

        def commit() -> None:
            before, self._telemetry = self._telemetry, telemetry
            if before is not None:
                before.close_aside()

        return commit

    def _take_attendants(self, new: Candidate) -> Commit:
        warmer = parts.warmer(new.config, new.named, self._loop, self._warmer)

        def commit() -> None:
            self._warmer = warmer
            self._attendants.configure(new, self._cache.versions, warmer)
            self._config = new.config
            self._batches.configure(new.config)

        return commit

    def _take_tls(self, new: Candidate) -> Commit:
        """For connections that come from then on."""

        def commit() -> None:
            self._tls, self._admin_tls = new.tls, new.tls if new.config.tls.admin else None
            self._tls_ends = new.tls_ends
            for listener, tls in zip(self._listeners, (self._admin_tls, self._tls), strict=False):
                listener.use(tls)

        return commit

    def _explains(self, new: Candidate) -> Explainer:
        job_builder = self._exchanges.serving.job_builder
        config = new.config
        changes = parts.parameters(config), {backend.name: backend.parameters for backend in config.backends}
        return Explainer(job_builder, self._scheduler, config.limits, new.rule_lines, self._gate, *changes)

    def _forget_backend(self, name: str) -> None:
        """Nothing is out there any more."""
        self._metrics.left(name)
        self._lasting.flows.forget(name)
        if self._cache.versions is not None:
            self._cache.versions.forget(name)

    # --- from the start to the end

    async def start(self) -> None:
        """Open both listeners. StartError when a port is taken."""
        self._lasting.tokenizers.preload()
        self._scheduler.tell_time(time.time(), monotonic())
        if self._keeper is not None:
            self._keeper.recall()
        await self._slos.recall()
        config, seat = self._config, self._seat
        admin = self._listener(config.admin, "admin", self._admin.connection, self._admin_tls, seat.admin)
        self.admin_url = admin.url
        if seat.answers_admin:
            await admin.open()
        clients = self._listener(config.listen, "listen", self._edge.connection, self._tls, seat.listen)
        clients.set_send_buffer(_SEND_BUFFER_B)
        self.listen_url = self._shown.listen = clients.url
        self._start(self._lasting.memory.run())
        self._start(self._tell_time())
        self._cache.start()
        self._structured.configure(self._config.retries, is_on=parts.validates(self._config))
        await self._probe_first()
        await self._batches.start()
        await clients.open()
        self._not_ready = None

    async def stop(self, *, drain: bool = True) -> str:
        """Drain (see `DrainSettings`), then close everything; how the drain ended."""
        self._not_ready = "draining"
        self._batches.rest()
        if drain:
            await self._drain.readiness()
        for listener in self._listeners[1:]:
            listener.close()
        self._driver.drain()
        self._cache.drain()
        self._edge.drain()
        how = await self._drain.streams() if drain else ""
        await self._tunnels.drain()
        await self._drain.cut()
        await self._batches.stop()
        if self._keeper is not None:
            await self._keeper.close()
        await self._slos.close()
        await self._drain.delivery(self._edge.is_delivering, self._config.limits.connections.write_stall)
        tasks = [*self._background, *self._attendants.tasks()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for backend in self._backends.values():
            backend.pool.close()
        for connection in list(self._edge.connections):
            connection.abort()
        for listener in self._listeners:
            listener.close()
        self._admin.close()
        await self._cache.close()
        await self._structured.close()
        await self._seat.last()
        await self._lasting.tokenizers.close()
        self._lasting.bodies.close()
        await self._batches.close()
        self._flush()
        if self._telemetry is not None:
            await asyncio.to_thread(self._telemetry.close)
        return how

    def hurry(self) -> None:
        """A drain that runs, or would begin, ends now."""
        self._drain.hurry()

    def draining(self) -> str:
        """What there is to drain, and how long that may take."""
        return self._drain.outlook()

    async def _tell_time(self) -> None:
        """Days of budgets follow the clock on the wall, which is set anew and goes on while a machine sleeps."""
        while True:
            await asyncio.sleep(_TELL_TIME_S)
            self._scheduler.tell_time(time.time(), monotonic())

    # --- start

    def _listener(
        self,
        address: str,
        option: str,
        protocol: Callable[[], asyncio.Protocol],
        tls: ssl.SSLContext | None,
        inherited: socket.socket | None,
    ) -> Listener:
        listener = Listener(address, option, self._loop, protocol, tls, inherited)
        self._listeners.append(listener)
        return listener

    async def _probe_first(self) -> None:
        warm_s = self._config.warm.timeout if self._warmer is not None else 0.0
        await self._attendants.begin(self._cache.versions, self._warmer, FIRST_PROBES_S + warm_s)
        self._start(self._lasting.flows.run())
        if self._keeper is not None:
            self._start(self._keeper.run())
        self._start(self._slos.run())

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._background.append(watched(work))

    # --- accounting

    def _tell(self, record: Record) -> None:
        """To the worker that counts for all; spans and metrics of telemetry are each worker's own."""
        if self._telemetry is not None:
            self._telemetry.add(record)
        assert self._seat.tell is not None
        self._seat.tell(record)

    def record(self, record: Record) -> None:
        """A request is over, here or in another worker."""
        if self._telemetry is not None:
            self._telemetry.add(record)
        if self._config.metrics.requests:
            self._metrics.count(record)
        self._shown.recent.add(record)
        if self._slos.is_on:
            self._slos.count(record)
        for log in self._access:
            log.add(record)

    def _metric_pieces(self, is_open: bool) -> Iterator[str]:
        streaming = (exchange.streaming for exchange in self._running)
        self._metrics.meter([stream for stream in streaming if stream is not None])
        return self._metrics.pieces(is_open=is_open)

    def _prefix_report(self) -> bytes:
        told = {} if self._lint is None else self._lint.report()
        return orjson.dumps({**told, "silent": untold_caches(self._backends, self._metrics.silent())})

    def _slo_report(self) -> bytes:
        return orjson.dumps({"slos": self._slos.shown()})

    def _schedule_flush(self) -> None:
        self._loop.call_later(FLUSH_S, self._flush)

    def _flush(self) -> None:
        for log in self._access:
            log.flush()

    def _spare_descriptors(self) -> None:
        """A connection to an engine was opened; those that wait for a request are the first to go."""
        pools = [backend.pool for backend in self._backends.values()]
        if sum(pool.open_connections for pool in pools) > self._descriptors.upstream:
            for pool in pools:
                pool.close()

    def _gauges(self) -> Gauges:
        budget, short_first = self._lasting.budget, self._servings.short_first
        prompts = self._exchanges.serving.job_builder.prompts
        return Gauges(
            len(self._edge.connections),
            self._edge.refused,
            {name: backend.pool.open_connections for name, backend in self._backends.items()},
            self._logs.lost() if self._logs is not None else {},
            budget.taken_b,
            budget.total_b,
            budget.refused,
            self._cache.view(),
            prompts.lines_stripped,
            prompts.messages_cut,
            prompts.assembly,
            self._warmer.requests if self._warmer is not None else {},
            {
                "short": short_first.given,
                "expanded": short_first.expanded,
                "unknown": short_first.unknown,
            },
            len(asyncio.all_tasks()),
            self._lasting.watch.lag,
            parts.gpu_memory_b(self._config),
            parts.config_info(self._config),
            self._slos.status(),
            self._config_state,
            {
                (name, change): count
                for name, backend in self._backends.items()
                for change, count in backend.parameters_changed.items()
            },
            None if self._telemetry is None else self._telemetry.exports(),
            self._lasting.memory.limit_b,
            self._tls_ends,
            self._owners.view(),
            self._batches.view(),
            self._tunnels.view(self._config.realtime),
        )

    def banner(self, source: str) -> tuple[str, ...]:
        """Six lines that say where everything is."""
        count = len(self._backends)
        models = ", ".join(self._scheduler.models()[:4]) or "none listed yet"
        return (
            f"tidegate {__version__} ({build()}), configuration {source}",
            f"listening on {self.listen_url}   (base_url: {self.listen_url}/v1)",
            f"admin on {self.admin_url}   (the page; /status, /config, /livez, /readyz, /metrics, /explain, /slo)",
            f"{count} backend{'s' if count != 1 else ''}: {', '.join(list(self._backends)[:6])}",
            f"models: {models}; policy {self._config.routing.policy}; {parts.who_comes_in(self._config)}",
            "stop with Ctrl-C or SIGTERM: running answers are finished first; a second one ends at once",
        )
