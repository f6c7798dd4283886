"""The page's parts put together: what a status says, who is told, and whether requests may be sent from there.

Owns what does not change while a configuration holds; everything else is read when somebody looks.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from time import monotonic
from typing import Any

from proxy import __version__, build
from proxy.app.candidate import Candidate
from proxy.app.configured import Commit
from proxy.app.descriptors import viewers
from proxy.config.address import parse_address
from proxy.config.listeners import is_loopback
from proxy.config.schema import Config
from proxy.core.scheduler import Scheduler
from proxy.live.page.console import Console, FindDecision
from proxy.live.page.feed import MOST_VIEWERS, Feed
from proxy.live.page.playground import Handler, Playground
from proxy.model.classes import with_built_in
from proxy.model.request import Job
from proxy.obs.config_metrics import ConfigState
from proxy.obs.decision import detail
from proxy.obs.metrics import Metrics
from proxy.obs.process_metrics import Gauges
from proxy.obs.recent import Recent
from proxy.obs.status import Facts, Sources, Status


def facts(config: Config) -> Facts:
    """What a status says of `config`, which was read just now."""
    return Facts(
        version=__version__,
        build=build(),
        instance=secrets.token_hex(4),
        listen="",
        policy=config.routing.policy,
        started_at=time.time(),
        classes={
            name: {
                "bulk": settings.is_bulk,
                "priority": settings.priority,
                "promise": {key: value for key, value in settings.slo.promise()._asdict().items() if value},
            }
            for name, settings in with_built_in(config.classes).items()
        },
        playground=has_playground(config),
    )


def has_playground(config: Config) -> bool:
    """Whether requests may be sent through the admin port."""
    if config.console.playground is not None:
        return config.console.playground
    return is_loopback(parse_address(config.admin).host)


class Shown:
    """What one proxy shows of itself: made once, told of each configuration."""

    def __init__(
        self,
        config: Config,
        scheduler: Scheduler,
        metrics: Metrics,
        gauges: Callable[[], Gauges],
        slos: Callable[[], list[dict[str, Any]]],
        why_not_ready: Callable[[], str | None],
        config_state: ConfigState | None = None,
    ) -> None:
        """`config_state`: None: there is no file."""
        self._scheduler = scheduler
        self._facts = facts(config)
        self.listen = ""
        """URL of the data port, as soon as it is known."""
        self.recent = Recent()
        """Who ends is told here."""
        sources = Sources(
            scheduler=scheduler,
            goodput=metrics.goodput,
            percentiles=metrics.percentiles,
            recent=self.recent,
            config_state=config_state or ConfigState("", "", time.time()),
            gauges=gauges,
            slos=lambda: {slo["name"]: slo for slo in slos()},
            why_not_ready=why_not_ready,
            monotonic=monotonic,
            wall=time.time,
        )
        self.status = Status(lambda: self._facts._replace(listen=self.listen), sources)

    def console(self, handle: Handler, loop: asyncio.AbstractEventLoop, admin_connections: int) -> Console:
        """The page's paths, where so many connections may be open at once."""
        feed = Feed(self.status, loop, monotonic, most=min(MOST_VIEWERS, viewers(admin_connections)))
        find = _finder(self.recent, self._scheduler)
        return Console(self.status, feed, find, Playground(handle, lambda: self._facts.playground))

    def take(self, new: Candidate) -> Commit:
        """Another configuration, from then on."""
        made = facts(new.config)

        def commit() -> None:
            self._facts = made._replace(instance=self._facts.instance, started_at=self._facts.started_at)

        return commit


def _finder(recent: Recent, scheduler: Scheduler) -> FindDecision:
    def find(seq: int, request_id: str) -> dict[str, Any] | None:
        found = recent.find(seq, request_id)
        if found is None:
            return None
        now = monotonic()
        told = detail(*found, now, time.time())
        job = found[1].job
        return told if job is None else {**told, "explain": asdict(scheduler.explain(_again(job, now), now))}

    return find


def _again(job: Job, now: float) -> Job:
    """The same job as if it came now."""
    since = now - (now if job.arrived is None else job.arrived)
    return replace(
        job,
        arrived=now,
        deadline=None if job.deadline is None else job.deadline + since,
        done_by=None if job.done_by is None else job.done_by + since,
    )
