"""One request as a trace or a generator describes it, and what its client expects.

Owns the facts of the request, true ones included (the length of its answer): the world hands the scheduler only what a
proxy would see of them.
"""

from dataclasses import dataclass
from typing import Final

HASH_TOKENS: Final = 512
"""Tokens per prefix hash, unless the traffic says otherwise: that of the Mooncake traces."""


@dataclass(frozen=True, slots=True)
class Slo:
    """What counts as good; None: nothing is promised."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    """Mean time per output token after the first."""
    e2e_s: float | None = None

    @property
    def promises_nothing(self) -> bool:
        """Then an answer is good whenever it comes."""
        return self.ttft_s is None and self.tpot_s is None and self.e2e_s is None


NO_SLO: Final = Slo()


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request of a trace."""

    at: float
    """Seconds."""
    prompt_tokens: int
    output_tokens: int
    """Known to the engine only."""
    prefix_hashes: tuple[int, ...] = ()
    """Chained hashes of pieces of the prompt, all of the same size."""
    model: str = "sim"
    patience_s: float | None = None
    """The client leaves after so long."""
    traffic_class: str | None = None
    """None: the client names none."""
    tenant: str | None = None
    max_tokens: int | None = None
    """What the client asks for at most; None: it leaves that to the engine."""
    body_bytes: int = 0
    """Size of the request body; 0: four bytes per prompt token."""
    stream: bool = True
    slo: Slo = NO_SLO
    cached_tokens: int = 0
    """Of a recorded request: prompt tokens that its engine had in its cache."""
    session: str = ""
    """The client's own name for the conversation; empty: it names none."""

    @property
    def context_tokens(self) -> int:
        """Prompt and answer."""
        return self.prompt_tokens + self.output_tokens
