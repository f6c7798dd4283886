"""What goes into a modelled engine and what comes out of it."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


@dataclass(slots=True)
class SimRequest:
    """One prompt and the length of its answer, known beforehand."""

    id: int
    prompt_tokens: int
    output_tokens: int
    """0: computed but nothing generated (an embedding)."""
    prefix_hashes: tuple[int, ...] = ()
    """Chained hashes of the whole pieces of the prompt, `EngineSpec.prefix_tokens` tokens each."""
    cached_tokens: int = 0
    """Of a recorded call: prompt tokens that its engine had, of whatever prompt they were."""


class Emitted(NamedTuple):
    """Something happened to a request at `at`."""

    id: int
    tokens: int
    """New since the last time."""
    finished: bool
    at: float
    scheduled_at: float
    """When its prefill first began."""
    cached_tokens: int
    """Prompt tokens found in the prefix cache."""


class Reporting(Enum):
    """What the engine tells."""

    EVERY_STEP = "every_step"
    """Each token as it comes: for streams."""
    MILESTONES = "milestones"
    """The first token and the end, which lets the model run equal steps in one go: for long simulations."""


@dataclass(slots=True, eq=False)
class Sequence:
    """A request inside the engine. While it decodes, `computed`, `emitted` and `private` are as of `since_step` and
    grow by one token a step; the engine works them out when it needs them."""

    request: SimRequest
    target: int
    """Tokens to compute before the next one can be sampled."""
    computed: int = 0
    """Tokens whose keys and values are in the cache."""
    emitted: int = 0
    reported: int = 0
    since_step: int | None = None
    """The step count when it began to decode; None: waiting or in prefill."""
    finish_step: int = 0
    shared: int = 0
    """Leading nodes of the prefix cache it refers to."""
    private: int = 0
    """Blocks of its own."""
    scheduled_at: float | None = None
    cached_tokens: int = 0


Chunk = tuple[Sequence, int]
"""A sequence and the tokens of its prompt to compute in one step."""


class StepEnd(NamedTuple):
    """Of an engine, at the end of a step."""

    left_s: float
    """Until then."""
    pending: list[tuple[Sequence, int]]
    """Prompts that are not computed yet, in the order in which they will be, each with the tokens that are."""
    decoding: list[tuple[Sequence, int]]
    """The others, each with the tokens still to come."""
    context: int
    """Tokens in the KV cache of those that decode."""
