"""A client's ask (Request) and our unit of scheduling (Job).

Their constructors are written out: one that `dataclass` makes stays interpreted, which costs 3 to 6 µs per request.
"""

from dataclasses import dataclass

from proxy.model.abilities import NOTHING_NEEDED, Lack
from proxy.model.endpoint import Endpoint
from proxy.model.fallback import FallbackStep
from proxy.model.hedge import Hedge
from proxy.model.windows import Window


@dataclass(slots=True, init=False)
class Request:
    """What the client asked, understood from a parsed copy of its body; the body itself is forwarded as it came."""

    id: str
    """`x-request-id`: the client's own sane one, else made by us."""
    method: str
    target: str
    """Path and query as the backend will see them, starting with `/v1/`."""
    endpoint: Endpoint
    model: str | None
    """The name asked for; None when neither route nor body names one."""
    stream: bool = False
    body_bytes: int = 0
    max_tokens: int | None = None
    client_attempt: int = 0
    """`x-stainless-retry-count`: 0 for a first try."""
    client_timeout_s: float | None = None
    """`x-stainless-read-timeout` or `x-stainless-timeout`: how long the SDK will wait."""
    usage_asked: bool = False
    """`stream_options.include_usage`: the client wants a usage event."""
    continuous_usage_asked: bool = False
    """`stream_options.continuous_usage_stats`: the client wants usage in every event."""
    json: bool = False
    """The body is a JSON object, which can be spliced."""
    traffic_class: str = ""
    """`x-tidegate-class`: the class the client asks for."""
    prompt_version: str = ""
    """Name and version of the named prompt in front of it, such as `support@3`; empty: it has none."""
    expands: bool = False
    """It goes on with a short answer, and holds all of its prompt already."""
    route: str = ""
    """Its path, where only engines that have it may be asked; empty: all may."""

    def __init__(
        self,
        id: str,  # noqa: A002 - the field's name
        method: str,
        target: str,
        endpoint: Endpoint,
        model: str | None,
        *,
        stream: bool = False,
        body_bytes: int = 0,
        max_tokens: int | None = None,
        client_attempt: int = 0,
        client_timeout_s: float | None = None,
        usage_asked: bool = False,
        continuous_usage_asked: bool = False,
        json: bool = False,
        traffic_class: str = "",
        prompt_version: str = "",
        expands: bool = False,
        route: str = "",
    ) -> None:
        self.id = id
        self.method = method
        self.target = target
        self.endpoint = endpoint
        self.model = model
        self.stream = stream
        self.body_bytes = body_bytes
        self.max_tokens = max_tokens
        self.client_attempt = client_attempt
        self.client_timeout_s = client_timeout_s
        self.usage_asked = usage_asked
        self.continuous_usage_asked = continuous_usage_asked
        self.json = json
        self.traffic_class = traffic_class
        self.prompt_version = prompt_version
        self.expands = expands
        self.route = route


@dataclass(slots=True, init=False)
class Job:
    """One Request as the scheduler sees it. Ends in exactly one Outcome."""

    id: int
    model: str
    """The name after the configured default was applied; what a backend must serve."""
    endpoint: Endpoint = Endpoint.CHAT
    stream: bool = False
    body_bytes: int = 0
    max_tokens: int | None = None
    deadline: float | None = None
    """Monotonic seconds; after it nobody waits for the answer."""
    arrived: float | None = None
    """Monotonic seconds of the request's last byte: its SLO counts from here. None: from `submit`."""
    traffic_class: str = "interactive"
    tenant: str = ""
    """Whose it is: the key of fairness and of learned answer lengths."""
    bulk: bool = False
    """Throughput is what counts: it fills what the others leave, and waits rather than disturbs."""
    priority: int = 0
    """Of its class; a higher one goes first where jobs wait."""
    demotable: bool = False
    """Its class rather has it late (as bulk) than refused."""
    slo_ttft_s: float | None = None
    """Time to first token promised, from `arrived`; None: nothing is."""
    slo_tpot_s: float | None = None
    """Mean time per output token promised."""
    prompt_tokens: int = 0
    """Estimate; 0: unknown, made of `body_bytes`."""
    prefix: tuple[int, ...] = ()
    """Chained hashes of the prompt's blocks from its start: equal hashes, equal prompts up to there."""
    prefix_block_tokens: int = 128
    """Tokens in one block of `prefix`, about."""
    constrained: bool = False
    """Structured output (grammar, JSON schema, tools): speculating engines are bad at it."""
    require: frozenset[str] = frozenset()
    """Labels a backend must have."""
    prefer: frozenset[str] = frozenset()
    """Labels a backend should have."""
    fallbacks: tuple[FallbackStep, ...] = ()
    """To serve it otherwise, rather than refuse it."""
    hedge: Hedge | None = None
    """When another backend is asked too; None: never, or sending it twice is not safe."""
    done_by: float | None = None
    """Monotonic seconds; an answer that is not complete by then is of no use. None: whenever."""
    yields_until: float | None = None
    """Of a line of a batch: monotonic seconds until which it goes only where nobody feels it. None: it is none."""
    needs: frozenset[Lack] = NOTHING_NEEDED
    """What an engine must be able to do for it, beside its endpoint."""
    session: str = ""
    """The client's own name for the conversation, or a digest of it; empty: it has none. Means nothing outside of its
    tenant."""
    gather: Window | None = None
    """How long it may wait for others to go with it; None: not at all."""
    window: bytes | None = None
    """Jobs of equal ones may go as one call to an engine, as an array of all their inputs. None: it goes alone."""
    items: int = 1
    """Inputs of its own: what it adds to such an array."""
    same: bytes | None = None
    """Jobs of equal ones get the same answer, so that one attempt is enough for all who wait for it. None: it has its
    own."""
    metered: int | None = None
    """Tokens of its answer that had come when it was cut off, which may be changed; None: nobody counted."""
    is_free: bool = False
    """No model works at it: it goes at once, and takes no permit from others."""

    def __init__(
        self,
        id: int,  # noqa: A002 - the field's name
        model: str,
        *,
        endpoint: Endpoint = Endpoint.CHAT,
        stream: bool = False,
        body_bytes: int = 0,
        max_tokens: int | None = None,
        deadline: float | None = None,
        arrived: float | None = None,
        traffic_class: str = "interactive",
        tenant: str = "",
        bulk: bool = False,
        priority: int = 0,
        demotable: bool = False,
        slo_ttft_s: float | None = None,
        slo_tpot_s: float | None = None,
        prompt_tokens: int = 0,
        prefix: tuple[int, ...] = (),
        prefix_block_tokens: int = 128,
        constrained: bool = False,
        require: frozenset[str] = frozenset(),
        prefer: frozenset[str] = frozenset(),
        fallbacks: tuple[FallbackStep, ...] = (),
        hedge: Hedge | None = None,
        done_by: float | None = None,
        yields_until: float | None = None,
        needs: frozenset[Lack] = NOTHING_NEEDED,
        session: str = "",
        gather: Window | None = None,
        window: bytes | None = None,
        items: int = 1,
        same: bytes | None = None,
        metered: int | None = None,
        is_free: bool = False,
    ) -> None:
        self.id = id
        self.model = model
        self.endpoint = endpoint
        self.stream = stream
        self.body_bytes = body_bytes
        self.max_tokens = max_tokens
        self.deadline = deadline
        self.arrived = arrived
        self.traffic_class = traffic_class
        self.tenant = tenant
        self.bulk = bulk
        self.priority = priority
        self.demotable = demotable
        self.slo_ttft_s = slo_ttft_s
        self.slo_tpot_s = slo_tpot_s
        self.prompt_tokens = prompt_tokens
        self.prefix = prefix
        self.prefix_block_tokens = prefix_block_tokens
        self.constrained = constrained
        self.require = require
        self.prefer = prefer
        self.fallbacks = fallbacks
        self.hedge = hedge
        self.done_by = done_by
        self.yields_until = yields_until
        self.needs = needs
        self.session = session
        self.gather = gather
        self.window = window
        self.items = items
        self.same = same
        self.metered = metered
        self.is_free = is_free
