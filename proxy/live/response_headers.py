"""What we add to the head of every answer: its id, where it came from and why, where its time went, what is left of a
quota, and that a page of another origin may read it."""

from collections.abc import Callable
from typing import Final

from proxy.live.job import JobLoop
from proxy.live.job_builder import BuiltJob
from proxy.model.endpoint import ENDPOINTS
from proxy.model.fallback import printable
from proxy.model.request import Job
from proxy.model.tenants import QuotaView
from proxy.model.timeline import Clock, Timeline
from proxy.model.windows import Company
from proxy.wire import ratelimit
from proxy.wire.cors import Cors
from proxy.wire.meter import Meter
from proxy.wire.server_timing import of_beginning, of_whole

Headers = list[tuple[bytes, bytes]]

_OWN: Final = (b"x-tidegate-route", b"backend=none")
"""Where an answer came from that no job was made for: from here. `tidegate init` knows a proxy by it."""


class ResponseHeaders:
    """One per proxy. `quota`: what the tenant of a job may still use, None: it has no limits; `wall`: seconds since
    1970."""

    def __init__(
        self,
        quota: Callable[[Job, float], QuotaView | None],
        policy: str,
        cors: Cors,
        clock: Clock,
        wall: Clock,
        *,
        tells_timing: bool = True,
    ) -> None:
        self._wall = wall
        self._tells_timing = tells_timing
        self._quota = quota
        self._policy = policy
        self._cors = cors
        self._clock = clock

    def added(
        self,
        headers: Headers,
        request_id: str,
        origin: bytes,
        taken: BuiltJob | None,
        job: JobLoop | None,
        line: Timeline,
        source: str = "",
        flows: Meter | None = None,
    ) -> Headers:
        """`headers` and ours. `taken` and `job` are None for what never became a job; `source`: where the answer comes
        from, if from no backend; `flows`: the meter of a stream that begins, None: the answer is whole."""
        if taken is not None:
            quota = self._quota(taken.job, self._clock())
            if quota is not None:
                api = ENDPOINTS[taken.job.endpoint].api
                headers = ratelimit.replaced(headers, quota, api, self._wall())
        headers.append((b"x-request-id", request_id.encode()))
        if taken is None:
            headers.append(_OWN)
        elif job is not None:
            way = job.way
            if way is not None and way.model != taken.job.model:
                headers.append((b"x-tidegate-model", printable(way.model).encode()))
            headers.append((b"x-tidegate-route", self._route(taken, job, line, source).encode()))
            if taken.said:
                headers += taken.said
        if self._tells_timing:
            now = self._clock()
            timing = of_whole(line, now) if flows is None else of_beginning(line, flows, now)
            if timing:
                headers.append((b"server-timing", timing))
        headers += self._cors.headers(origin)
        return headers

    def _route(self, taken: BuiltJob, job: JobLoop, line: Timeline, source: str) -> str:
        """Where the job went, as what and why, in one short line."""
        classified = taken.classified
        since = line.received if line.understood is None else line.understood
        queued_ms = ((self._clock() if line.released is None else line.released) - since) * 1e3
        rule = classified.by if classified.rule is None else f"rules[{classified.rule}]"
        retried = job.attempts > (1 if job.hedge_won is None else 2)
        reason = job.reason or ("retry" if retried else source or self._policy)
        words = [  # concatenated: compiled, a format costs ten times as much
            "backend=" + (source or job.backend or "none"),
            "class=" + taken.job.traffic_class,
            "rule=" + rule,
            "reason=" + reason,
            "queued=" + str(round(max(0.0, queued_ms))) + "ms",
        ]
        if job.way is not None:
            words.append("fallback=" + job.way.said)
        if job.hedge_said:
            words.append("hedge=" + job.hedge_said)
        if job.company is not None:
            _tell_company(words, job.company)
        return "; ".join(words)


def _tell_company(words: list[str], company: Company) -> None:
    """With how many it went, and how long it waited for them."""
    if company.joins:
        words.append("shared=joined")
    elif company.jobs > 1:
        words.append("batch=" + str(company.jobs))
    if company.waited_s is not None and (company.jobs > 1 or company.waited_s > 0.0):
        words.append("waited=" + str(round(company.waited_s * 1e3)) + "ms")
