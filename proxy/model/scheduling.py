"""How the scheduler admits, shares and prefers: the operator's dials, with their reasons."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from proxy.model.bounds import Bounds, Count, Duration, Form, Share, Size
from proxy.model.limits import HealthSettings, HoldSettings, RetrySettings
from proxy.model.tenants import MAX_TENANT_ENTRIES, TenantSettings
from proxy.model.units import MIB

ConcurrencyMode = Literal["learned", "off"]
AdmissionMode = Literal["auto", "enforce", "shadow", "off"]
PolicyName = Annotated[str, Form.POLICY]
Weights = dict[str, Annotated[float, Bounds(gt=0, le=1000)]]
DEFAULT_POLICY = "goodput"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionSettings:
    """Which requests are refused because nobody can serve them within what their class promises."""

    mode: AdmissionMode | None = None
    """`enforce`: refuse. `shadow`: count what would be refused. `off`: neither. `auto`: as `shadow` until predictions
    have proven themselves, then `enforce`. null: `auto` for the policy `goodput`, `off` for the others."""
    duty: Share = 0.8
    """Largest share of a backend's time that may go into prefills: the dial between throughput (up) and steady token
    gaps (down)."""
    duty_interactive: Share = 0.9
    """The same for interactive requests."""
    duty_bulk: Share = 0.6
    """The same for bulk."""
    ttft_margin: Annotated[float, Bounds(ge=1, le=10)] = 1.15
    """Predicted time to first token times this must keep the promise."""
    tpot_margin: Annotated[float, Bounds(ge=1, le=10)] = 1.05
    """Predicted time per token times this must keep the promise, and that made to others on the same backend."""
    kv: Share = 0.95
    """Share of a backend's KV budget that may be promised."""
    max_hold: Duration = 120.0
    """Longest wait for a backend that may still keep the promise; never longer than the promise itself allows. Above
    `hold.max_wait` for large prompts, which are promised more time and fit seldom."""
    probes: Annotated[float, Bounds(ge=0, le=0.5)] = 0.02
    """Share of would-be refusals that are sent after all, to learn whether refusing is right."""
    concurrency: ConcurrencyMode = "learned"
    """`learned`: a backend of which nobody told `max_concurrency` or `seats` is sent as many requests as it is seen to
    begin, and a few more; the others wait here, where they have an order. `off`: it is sent everything."""
    min_samples: Count = 100
    """`auto`: first tokens seen before anything is refused. A fifth of them is enough for a pool where others had the
    rest, and to refuse what would be half as late again."""
    early_error: Annotated[float, Bounds(ge=0, le=1)] = 0.5
    """`auto`: a fifth is enough, too, where predictions were off by less than this share of the truth on average, and
    not too high in general. 0: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillSettings:
    """Bulk that waits for room beside the interactive requests."""

    jobs: Count = 10_000
    """Jobs that may wait; more are refused."""
    bytes: Size = 512 * MIB
    """Bodies of all of them; more are refused."""
    max_wait: Duration = 600.0
    """Longest wait; the client's own deadline counts when it is sooner."""
    backlog: Duration = 0.2
    """Prefill queued on a backend up to which bulk is fed to it."""
    chat_price: Annotated[float, Bounds(ge=0.01, le=100)] = 1.0
    """What a token of a chat is worth in tokens of bulk, where both want the same engine: the dial between chats in
    their SLO (up) and bulk in time (down). At 1 most tokens of both together are in their SLO."""
    lines_delay: Annotated[float, Bounds(ge=0, le=100)] = 0.03
    """How much later the first tokens of others may come, on average and as a share, because lines of batches run
    beside them: the dial between chats that feel nothing (down) and batches that are done soon (up). 100: lines go as
    any other bulk, which heeds promises alone. A batch that would be late for its window goes so, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FairnessSettings:
    """What a tenant may take when others want it too."""

    half_life: Duration = 30.0
    """Service is forgotten by half in this time. 0: no fairness between tenants."""
    weights: Weights = field(default_factory=dict)
    """Tenant → share relative to the others; 1 where none is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchSettings:
    """All but what is about single tenants."""

    policy: PolicyName = DEFAULT_POLICY
    """Which of the fitting backends gets a job."""
    admission: AdmissionSettings = AdmissionSettings()
    """Who is refused."""
    backfill: BackfillSettings = BackfillSettings()
    """Where bulk waits."""
    fairness: FairnessSettings = FairnessSettings()
    """Between tenants."""
    explore: Annotated[float, Bounds(ge=0, le=0.2)] = 0.01
    """Share of requests with time to spare that go to a random fitting backend, to learn about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulingSettings(DispatchSettings):
    """All of it."""

    tenants: Annotated[tuple[TenantSettings, ...], Bounds(max_length=MAX_TENANT_ENTRIES)] = ()
    """Hard limits of tenants, beside fairness between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreSettings:
    """All that the scheduler is told by the operator, beside its backends."""

    retries: RetrySettings = RetrySettings()
    hold: HoldSettings = HoldSettings()
    health: HealthSettings = HealthSettings()
    scheduling: SchedulingSettings = SchedulingSettings()
