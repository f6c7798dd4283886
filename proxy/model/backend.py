"""A backend as configured: one engine URL and what is known of it before any traffic."""

from dataclasses import dataclass, field


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
