"""A backend as configured: one engine URL and what is known of it before any traffic."""

from dataclasses import dataclass, field

from proxy.model.abilities import PLAIN, Traits
from proxy.model.endpoint import ROUTE_LABELS
from proxy.model.engine_facts import UNKNOWN, EngineFacts


@dataclass(frozen=True, slots=True)
class BackendSpec:
    """What the scheduler needs to know of a backend; the connection details live in the configuration."""

    name: str
    pool: str = "default"
    models: frozenset[str] | None = None
    """Names served, aliases included; None: found out from the engine's model list."""
    any_model: bool = False
    """`models: any`: takes every name."""
    aliases: dict[str, str] = field(default_factory=dict)
    """Public name → the engine's own name."""
    max_concurrency: int | None = None
    """Permits: requests in flight at once; None: no bound of ours."""
    labels: frozenset[str] = frozenset()
    """What rules may require or prefer, beside facts."""
    facts: EngineFacts = UNKNOWN
    """What its operator says of the engine. What it tells itself counts more."""
    kv_tokens: int | None = None
    """KV budget of the engine, tokens; None: told by its metrics, or learned."""
    seats: int | None = None
    """Requests the engine runs at once; more wait inside it. None: told by its metrics, or learned."""
    traits: Traits = PLAIN
    """Of its kind of engine, as far as the configuration tells it."""
    routes: frozenset[str] = ROUTE_LABELS
    """Labels of the routes that its kind has, of those that not all have: any, until it is known what it is."""
    bias: dict[str, float] = field(default_factory=dict)
    """Of its pool: traffic class → prefill times of the request by which others are preferred. 0: no opinion."""
    order: int = 0
    """Taken only when no backend of a lower one can take the request."""
    url: str = ""
    """Where it is. Nobody connects by it here: another one tells that another engine has the name now."""
    requests_per_minute: int | None = None
    """Sent to it in any minute; None: no limit of ours."""
    tokens_per_minute: int | None = None
    """The same of prompts and answers."""

    def is_same_engine(self, other: "BackendSpec") -> bool:
        """Whether what was learned under one still holds under the other: it is where it was, and serves a model that
        it served."""
        if self.url != other.url:
            return False
        return not self.models or not other.models or not self.models.isdisjoint(other.models)
