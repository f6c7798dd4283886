"""Rules that put requests into classes: the operator's conditions, as data. Matching is done by `core.classify`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from proxy.model.bounds import Bounds, Form

EndpointName = Literal[
    "chat.completions",
    "completions",
    "embeddings",
    "responses",
    "moderations",
    "rerank",
    "score",
    "audio",
    "images",
    "other",
]
ClassName = Annotated[str, Bounds(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
TenantName = Annotated[str, Bounds(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}$")]
RuleLabel = Annotated[str, Bounds(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
RuleLabels = Annotated[tuple[str, ...], Form.LABELS]
"""Labels as operators write them, and facts of engines as labels: `precision=fp16`."""
_Text = Annotated[str, Bounds(min_length=1, max_length=256)]
_Some = Bounds(max_length=256)
MAX_RULES = 256
POOL_LABEL = "pool="
"""Every backend has this label with the name of its pool; no operator can write it, since `=` is not allowed there."""
BACKEND_LABEL = "backend="
"""… and this one with its own name."""
NOT_POOL_LABEL = "pool!="
"""… and this one with the name of every other pool that something falls back to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Between:
    """Both ends included. A number that is not known is in no range."""

    min: Annotated[int, Bounds(ge=0)] = 0
    """At least so many."""
    max: Annotated[int, Bounds(ge=0)] | None = None
    """At most so many. null: any number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """What must be true of a request; every condition that is written, and one of each list. None written: always."""

    endpoint: Annotated[tuple[EndpointName, ...], _Some] = ()
    """Routes: `chat.completions`, `completions`, `embeddings`, …"""
    model: Annotated[tuple[_Text, ...], _Some] = ()
    """Names asked for; a `*` at the end stands for any rest."""
    tenant: Annotated[tuple[TenantName, ...], _Some] = ()
    """Tenants, by their names in `tenants`; where no key is asked for, also by the first 8 hex digits of the SHA-256 of
    an API key, as metrics show them."""
    asked_class: Annotated[tuple[ClassName, ...], _Some] = ()
    """What the header `x-tidegate-class` says."""
    service_tier: Annotated[tuple[_Text, ...], _Some] = ()
    """What the field `service_tier` says."""
    stream: bool | None = None
    """Whether the answer is a stream. null: either."""
    constrained: bool | None = None
    """Whether the output is bound to a grammar, a JSON schema or tools. null: either."""
    max_tokens: Between = Between()
    """Longest answer asked for."""
    prompt_tokens: Between = Between()
    """Estimated length of the prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSettings:
    """One rule: the first whose conditions hold decides."""

    when: When = When()
    """Conditions."""
    class_: ClassName | None = None
    """Traffic class. null: as the header, the tier or the expected work says."""
    pool: RuleLabel | None = None
    """The only pool whose backends may take it. null: any."""
    require: RuleLabels = ()
    """Labels a backend must have, and what must be true of its engine: `[eu]`, `{precision: fp16}`, or both as
    `{precision: fp16, labels: [eu]}`. Facts are `engine`, `precision`, `kv_precision`, `attention`, `speculative`,
    `gpu` and `hardware`: as the engine tells, else as its backend says. A precision may be one (`q4_k_m`), a kind of
    them (`int4`, `fp16`) or a width (`4bit`, `16bit`)."""
    prefer: RuleLabels = ()
    """Labels a backend should have, and what should be true of its engine; written as in `require`."""
