"""What happened since the start, in numbers that only grow: one place for all counters of the core.

Owns the counters; whoever sees something happen counts it. Metrics show each of them by its name.
"""

from dataclasses import dataclass, field

from proxy.model.commands import Reason


@dataclass(slots=True)
class Tally:
    """One per scheduler."""

    offered: int = 0
    finished: int = 0
    refused: int = 0
    cancelled: int = 0
    preempted: int = 0
    """Bulk attempts that were sent back."""
    demoted: int = 0
    """Jobs late as bulk instead of refused."""
    retries: int = 0
    """Attempts that were paid for."""
    refusals: dict[Reason, int] = field(default_factory=dict)
    """Of admission, by the limit that would have been broken."""
    late: int = 0
    """Times that an attempt without its first byte was found late, in classes that are hedged."""
    hedges: int = 0
    hedges_won: int = 0
    """Second attempts, and those that answered first."""
    hedges_unpaid: int = 0
    """Late, and the budget was spent."""
    hedges_alone: int = 0
    """Late, and nobody would have been faster."""
    hedge_tokens: float = 0.0
    """Prompt tokens that losing attempts were sent to compute."""
    retry_tokens: float = 0.0
    """Prompt tokens of attempts that failed and were repeated, as estimated."""
    joined: int = 0
    """Jobs that got the answer of an attempt that was out for the same question."""
    predicted_hit_tokens: float = 0.0
    actual_hit_tokens: float = 0.0
    """Prompt tokens predicted to be in prefix caches, and those that were, as engines told it."""
    untold_hit_tokens: float = 0.0
    """Predicted, where the engine does not tell,"""
    inferred_hit_tokens: float = 0.0
    """and inferred from its timing."""
