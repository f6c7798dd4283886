"""What a call costs an engine that computes vectors: some of it however little is in the call, the rest by its inputs.

Owns the numbers, their sources and the formula. One call after the other, as on a card whose batches take turns.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ArrayCost:
    """Of one engine."""

    call_s: float
    """Seconds of a call with nothing in it."""
    input_s: float
    """Added by each input…"""
    input_s2: float
    """…and by its square: larger batches no longer fit into what is fast."""
    cap: int
    """Inputs in one call; more are refused (413)."""

    def seconds(self, inputs: int) -> float:
        """Of one call."""
        return self.call_s + self.input_s * inputs + self.input_s2 * inputs * inputs


TEI_L4: Final = ArrayCost(call_s=1.2e-3, input_s=0.279e-3, input_s2=6.5e-6, cap=32)
"""Published (Text Embeddings Inference on one L4, eight calls in flight): calls of 8 bring 2,080 texts/s at 30 ms,
calls of 32 bring 1,904 at 140 ms; above 32 a hard 413. Assumed: what a call costs by itself, 1.2 ms, which leaves 670
texts/s to calls of one."""

PRESETS: Final = {"tei_l4": TEI_L4}
