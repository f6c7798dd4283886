"""One finished request as metrics and the access log see it."""

from dataclasses import dataclass
from typing import NamedTuple

from proxy.core.tenancy.classify import Classified
from proxy.model.classes import NOTHING_PROMISED, Promise
from proxy.model.outcome import Outcome
from proxy.model.request import Job
from proxy.model.timeline import Timeline
from proxy.model.windows import Company
from proxy.wire.meter import Meter
from proxy.wire.trace_context import Trace
from proxy.wire.usage import Usage


class Streaming(NamedTuple):
    """A request that is not over: where what its stream has metered so far is counted."""

    endpoint: str
    traffic_class: str
    backend: str
    """Empty while there is none."""
    meter: Meter


@dataclass(slots=True, init=False)
class Record:
    """Everything that is told of one request; made once, at its end."""

    id: str
    method: str
    path: str
    """Without its query."""
    endpoint: str
    traffic_class: str
    model_asked: str
    model_served: str
    backend: str
    """Of the last attempt; empty when there was none."""
    attempts: int
    status: int
    """As sent to the client; 0 when none was."""
    stream: bool
    body_bytes: int
    outcome: Outcome
    timeline: Timeline
    usage: Usage
    token_source: str
    """Of the completion tokens (`proxy.wire.tokens.Source`); empty: not counted."""
    meter: Meter
    """Of its stream; empty for any other answer."""
    resumed: int
    """How often another backend went on with the stream."""
    fallback: str = ""
    """What it was served by instead of being refused: `model:NAME`, `pool:NAME` or both; empty: as asked for."""
    hedge: str = ""
    """`won` or `lost`: what became of a second attempt beside a late one; empty: there was none."""
    company: Company | None = None
    """With whom it was sent; None: alone, and it waited for nobody."""
    promise: Promise = NOTHING_PROMISED
    """What its class or its headers promised."""
    tenant: str = ""
    """Who asked: digits of the digest of its API key, never the key; empty: it sent none."""
    client: str = ""
    """Address of the peer, as the socket knows it: what a header says of it is not believed."""
    cache: str = ""
    """`hit`, `miss`, `bypass` or `coalesced`: what the cache had to do with it; empty: no answers are kept."""
    prompt_version: str = ""
    """Name and version of the named prompt in front of it; empty: it has none."""
    model: str = ""
    """What served it or was to, by its public name; empty: none was named."""
    is_constrained: bool = False
    """Its output is bound by a grammar, a schema or tools."""
    expected_prompt: int = 0
    """Prompt tokens as estimated before it was sent; 0: unknown."""
    in_flight: int = 0
    """Calls on its backend when it was sent there, its own included; 0: it was sent nowhere."""
    trace: Trace | None = None
    """None: there is no telemetry."""
    reason: str = ""
    """Why it waited, was sent on or refused, in the scheduler's word; empty: nothing but the policy had a say."""
    job: Job | None = None
    """As the scheduler saw it, so that it can be asked again; None: it never became one."""
    classified: Classified | None = None
    """How its class was found."""
    truncated: str = ""
    """What its engine left out without a word (`wire.truncation`); empty: nothing, as far as that shows."""

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the field's name
        method: str,
        path: str,
        endpoint: str,
        traffic_class: str,
        model_asked: str,
        model_served: str,
        backend: str,
        attempts: int,
        status: int,
        stream: bool,
        body_bytes: int,
        outcome: Outcome,
        timeline: Timeline,
        usage: Usage,
        token_source: str,
        meter: Meter,
        resumed: int,
        fallback: str = "",
        hedge: str = "",
        company: Company | None = None,
        promise: Promise = NOTHING_PROMISED,
        tenant: str = "",
        client: str = "",
        cache: str = "",
        prompt_version: str = "",
        model: str = "",
        is_constrained: bool = False,
        expected_prompt: int = 0,
        in_flight: int = 0,
        trace: Trace | None = None,
        reason: str = "",
        job: Job | None = None,
        classified: Classified | None = None,
        truncated: str = "",
    ) -> None:
        self.id = id
        self.method = method
        self.path = path
        self.endpoint = endpoint
        self.traffic_class = traffic_class
        self.model_asked = model_asked
        self.model_served = model_served
        self.backend = backend
        self.attempts = attempts
        self.status = status
        self.stream = stream
        self.body_bytes = body_bytes
        self.outcome = outcome
        self.timeline = timeline
        self.usage = usage
        self.token_source = token_source
        self.meter = meter
        self.resumed = resumed
        self.fallback = fallback
        self.hedge = hedge
        self.company = company
        self.promise = promise
        self.tenant = tenant
        self.client = client
        self.cache = cache
        self.prompt_version = prompt_version
        self.model = model
        self.is_constrained = is_constrained
        self.expected_prompt = expected_prompt
        self.in_flight = in_flight
        self.trace = trace
        self.reason = reason
        self.job = job
        self.classified = classified
        self.truncated = truncated

    @property
    def is_from_memory(self) -> bool:
        """No engine was asked."""
        return self.cache in ("hit", "coalesced")

    @property
    def warmth(self) -> str:
        """`kept`: the answer was; `prefix`: the engine had some of its prompt; `cold`: nobody had anything, as far as
        is known."""
        if self.is_from_memory:
            return "kept"
        return "prefix" if self.usage.cached_tokens else "cold"

    @property
    def exemplar(self) -> str:
        """The trace that it is an example of, 32 hex digits; empty: none that anybody keeps."""
        trace = self.trace
        return trace.trace_id if trace is not None and trace.is_sampled else ""
