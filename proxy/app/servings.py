"""From a configuration to what requests are served by: the parts that are made anew with each one.

Owns how they are put together, and what of the one before they go on from.
"""

import time
from collections.abc import Callable
from time import monotonic

from proxy.app import parts
from proxy.app.candidate import Candidate
from proxy.app.lasting import Lasting
from proxy.live.account import Accounts
from proxy.live.attempt import Caller
from proxy.live.cache.response_cache import ResponseCache
from proxy.live.outstanding import Jobs
from proxy.live.own import OwnAnswers
from proxy.live.owners import Owners
from proxy.live.prompts import Prompts
from proxy.live.realtime import Realtime
from proxy.live.request_parser import RequestParser
from proxy.live.response_headers import ResponseHeaders
from proxy.live.serving import Serving, StoreApi
from proxy.live.short_first import ShortFirst
from proxy.live.stored import Stored
from proxy.live.structured import StructuredAnswers
from proxy.live.timings import Timings
from proxy.live.tunnel import Tunnels
from proxy.obs.record import Record
from proxy.wire.cors import Cors
from proxy.wire.prompts.lint import PrefixLint


class Servings:
    """One per proxy. `not_ready`: why no request should come now; None: they may."""

    def __init__(
        self,
        lasting: Lasting,
        record: Callable[[Record], None],
        not_ready: Callable[[], str | None],
        timings: Timings,
        structured: StructuredAnswers,
        owners: Owners,
        tunnels: Tunnels,
        batches: StoreApi | None = None,
    ) -> None:
        self._lasting = lasting
        self._record = record
        self._not_ready = not_ready
        self._timings = timings
        self._structured = structured
        self._owners = owners
        self._batches = batches
        self._tunnels = tunnels
        self.short_first = ShortFirst(monotonic, is_on=False)
        """Answers that can be expanded, whichever configuration made them short."""

    def make(
        self,
        candidate: Candidate,
        cache: ResponseCache | None,
        lint: PrefixLint | None,
        before: Serving | None = None,
    ) -> Serving:
        """By what requests are served that come once it is in place. `before`: by what they were until then."""
        config, lasting = candidate.config, self._lasting
        cors = Cors(config.cors.origins, config.cors.max_age)
        prompts = (before.job_builder.prompts if before else Prompts(clock=monotonic)).otherwise(lint, candidate.named)
        job_builder = parts.job_builder(config, lasting.models, prompts, lasting.job_ids)
        if before is not None:
            job_builder.goes_on_from(before.job_builder)
        scheduler = lasting.scheduler
        return Serving(
            RequestParser(
                config.limits,
                lasting.memory,
                lasting.bodies,
                lasting.hops,
                lasting.backends,
                forwarded=config.routes.forward,
            ),
            OwnAnswers(
                lasting.models, job_builder.models_of, lasting.backends.values(), self._not_ready, cors, self._timings
            ),
            job_builder,
            self._jobs(candidate, before, foresees=job_builder.foresees),
            Accounts(
                lasting.budget,
                job_builder,
                lasting.flows,
                scheduler.upstream_model,
                self._record,
                monotonic,
                self._timings,
                parts.tracing(config),
            ),
            ResponseHeaders(
                lasting.quota_for,
                config.routing.policy,
                cors,
                monotonic,
                time.time,
                tells_timing=config.timings.server_timing,
            ),
            self.short_first,
            cache,
            self._structured,
            Stored(self._owners, frozenset(backend.name for backend in config.backends), monotonic),
            self._batches,
            Realtime(config.realtime, self._tunnels, cors, monotonic) if config.realtime.connections else None,
        )

    def _jobs(self, candidate: Candidate, before: Serving | None, *, foresees: bool) -> Jobs:
        config, lasting = candidate.config, self._lasting
        limits, attempts = config.limits.upstream, config.retries.attempts
        parameters = parts.parameters(config)
        caller = None if before is None else before.jobs.caller
        if caller is None or (caller.limits, caller.parameters) != (limits, parameters):
            caller = Caller(lasting.scheduler, lasting.tokenizers, limits, lasting.loop, monotonic, parameters)
        if before is not None:
            return before.jobs.otherwise(caller, foresees=foresees, attempts=attempts)
        return Jobs(
            lasting.driver,
            caller,
            lasting.backends,
            foresees=foresees,
            attempts=attempts,
            loop=lasting.loop,
            clock=monotonic,
        )
