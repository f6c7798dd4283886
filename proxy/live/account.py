"""What is known of one request, and told when it is over: to the access log and the metrics, and to whoever learns.

Owns the one settlement of a request: its permit, its connection and its memory are given back, its Record is made.
"""

from collections.abc import Callable

from proxy.live.answer import Answer
from proxy.live.background.stream_watch import StreamWatch
from proxy.live.cache.use import CacheUse
from proxy.live.deliver import Writer
from proxy.live.downstream.budget import Budget
from proxy.live.downstream.connection import ClientConnection
from proxy.live.downstream.message import Message
from proxy.live.job import JobLoop
from proxy.live.job_builder import BuiltJob, JobBuilder
from proxy.live.relay import Relay
from proxy.live.response_headers import ResponseHeaders
from proxy.live.structured import Checked
from proxy.live.timings import Timings
from proxy.model.classes import NOTHING_PROMISED
from proxy.model.endpoint import Endpoint
from proxy.model.outcome import SERVED, Outcome, Verdict
from proxy.model.request import Request
from proxy.model.timeline import Clock, Timeline
from proxy.obs.record import Record, Streaming
from proxy.wire import identity
from proxy.wire.meter import Meter
from proxy.wire.tokens import CountSource
from proxy.wire.trace_context import Tracing
from proxy.wire.truncation import Truncated
from proxy.wire.usage import NO_USAGE, Usage, both

UpstreamModel = Callable[[str, str], str]
"""A backend's own name of a model."""


class Accounts:
    """One per proxy: who is told."""

    def __init__(
        self,
        budget: Budget,
        job_builder: JobBuilder,
        stream_watch: StreamWatch,
        upstream_model: UpstreamModel,
        record: Callable[[Record], None],
        clock: Clock,
        timings: Timings,
        tracing: Tracing | None = None,
    ) -> None:
        """`tracing`: begins traces; None: there is no telemetry."""
        self.budget = budget
        self.job_builder = job_builder
        self.stream_watch = stream_watch
        self.upstream_model = upstream_model
        self.record = record
        self.clock = clock
        self.timings = timings
        self.tracing = tracing


class Account:
    """One per request."""

    __slots__ = (
        "_accounts",
        "_charge_b",
        "_checked",
        "_connection",
        "_job",
        "_message",
        "_meter",
        "_request",
        "_taken",
        "_timeline",
        "_trace",
        "_use",
        "_writer",
    )

    def __init__(
        self, accounts: Accounts, connection: ClientConnection, message: Message, response_headers: ResponseHeaders
    ) -> None:
        self._accounts = accounts
        self._connection = connection
        self._message = message
        self._timeline = Timeline(accounts.clock())
        self._writer = Writer(connection, message, self._timeline, response_headers)
        tracing, head = accounts.tracing, message.head
        self._trace = None if tracing is None or head is None else tracing.begin(head.fields)
        self._request: Request | None = None
        self._taken: BuiltJob | None = None
        self._job: JobLoop | None = None
        self._meter = Meter()
        self._use: CacheUse | None = None
        """Of the cache; None: it has nothing to do with it."""
        self._checked: Checked | None = None
        """What is found of its answer; None: nobody looks."""
        self._charge_b = connection.take_charge()
        """Of the budget for bodies."""

    @property
    def relay(self) -> Relay | None:
        """Its answer, as far as there is one."""
        return self._job.relay if self._job is not None else None

    @property
    def attempt_id(self) -> int:
        """Whose answer that is, as the scheduler knows it; 0: nobody's."""
        return self._job.attempt_id if self._job is not None else 0

    @property
    def streaming(self) -> Streaming | None:
        """What its stream has metered so far; None: it is no job yet."""
        if self._request is None or self._taken is None or self._job is None:
            return None
        return Streaming(self._request.endpoint.value, self._taken.job.traffic_class, self._job.backend, self._meter)

    def settle(self, outcome: Outcome) -> None:
        """Give everything back and tell of it, exactly once, whatever happened."""
        usage, source = self._usage()
        if self._job is not None and self._request is not None and self._request.stream:
            self._writer.truncated = self._job.truncated(usage)
        served = self._model_served()  # a backend that leaves may be forgotten with its permit
        self._give_back(outcome, usage)
        if self._checked is not None:
            usage = both(usage, self._checked.spent)
        self._tell(outcome, usage, source, served)

    def _give_back(self, outcome: Outcome, usage: Usage) -> None:
        accounts, job = self._accounts, self._job
        accounts.budget.give(self._charge_b)
        self._timeline.done = accounts.clock()
        if self._use is not None:
            left = outcome.verdict is Verdict.CANCELLED
            is_good = outcome is SERVED and (self._checked is None or self._checked.is_kept)
            self._use.ended(job, is_served=is_good, has_left=left)
        served = job is not None and job.settle(outcome.fault, usage, cut=self._writer.truncated == Truncated.PROMPT)
        if served and usage.completion_tokens is not None and self._taken is not None:
            accounts.job_builder.learn(self._taken.asked, usage.completion_tokens)
            if self._meter.tokens and job is not None:
                accounts.stream_watch.ended(job.backend, usage.completion_tokens, self._meter.tokens)

    def _tell(self, outcome: Outcome, usage: Usage, source: str, model_served: str) -> None:
        request, head, job, trace = self._request, self._message.head, self._job, self._trace
        if trace is not None:
            trace.finish(self._timeline, job.reason if job else "")
        target = head.target.decode("ascii", "replace") if head else ""
        asked = self._taken.job if self._taken is not None else None
        record = Record(
            id=head.request_id if head else "",
            method=head.method if head else "",
            path=target.partition("?")[0][:256],
            endpoint=str(request.endpoint if request else Endpoint.OTHER),
            traffic_class=self._taken.job.traffic_class if self._taken else "",
            model_asked=(request.model or "") if request else "",
            model_served=model_served,
            backend=self._writer.source or (job.backend if job else ""),
            attempts=job.attempts if job else 0,
            status=self._writer.status,
            stream=request.stream if request else False,
            body_bytes=len(self._message.body),
            outcome=outcome,
            timeline=self._timeline,
            usage=usage,
            token_source=source,
            meter=self._meter,
            resumed=job.resumes if job else 0,
            fallback=job.way.said if job is not None and job.way is not None else "",
            hedge=job.hedge_said if job else "",
            company=job.company if job else None,
            promise=self._taken.promise if self._taken is not None else NOTHING_PROMISED,
            tenant=self._tenant(),
            client=self._connection.client,
            cache="" if self._use is None else self._use.said,
            prompt_version=request.prompt_version if request else "",
            model=self._model(),
            is_constrained=asked is not None and asked.constrained,
            expected_prompt=asked.prompt_tokens if asked is not None else 0,
            in_flight=job.in_flight if job else 0,
            trace=trace,
            reason=job.reason if job else "",
            job=asked,
            classified=self._taken.classified if self._taken is not None else None,
            truncated=self._writer.truncated,
        )
        self._accounts.record(record)
        if head is not None and self._taken is not None:
            timing = self._accounts.timings.keep(head, record)
            if timing is not None and self._checked is not None:
                self._checked.timing, timing.verdict = timing, self._checked.said

    def _tenant(self) -> str:
        if self._taken is not None:
            return self._taken.job.tenant
        head = self._message.head
        return identity.tenant(head) if head is not None else ""

    def _model(self) -> str:
        if self._job is not None:
            return self._job.model
        if self._taken is not None:
            return self._taken.job.model
        return (self._request.model or "") if self._request is not None else ""

    def _model_served(self) -> str:
        """The engine's own name; empty when no engine was asked."""
        job = self._job
        if job is None or not job.backend:
            return ""
        return self._accounts.upstream_model(job.backend, job.model)

    def _usage(self) -> tuple[Usage, str]:
        """Tokens and how we know: as the engine says, else as far as its events showed."""
        if self._request is not None and self._request.endpoint is Endpoint.STORED:
            return NO_USAGE, ""  # read once more, which was told and paid before
        answer: Answer | None = self._job.last_answer if self._job is not None else None
        if self._use is not None and self._use.replay is not None:
            answer = self._use.replay
        if answer is None:
            return NO_USAGE, ""
        usage = answer.usage()
        if usage.completion_tokens is not None or not self._meter.tokens:
            return usage, str(CountSource.ENGINE_USAGE) if usage != NO_USAGE else ""
        return usage._replace(completion_tokens=self._meter.tokens), str(answer.token_source())
