"""What an engine counts of itself: the counters that engines export, and that a run is reported with."""

from dataclasses import dataclass


@dataclass(slots=True)
class Stats:
    """Counters since the start, as vLLM exports them."""

    prompt_tokens: int = 0
    generation_tokens: int = 0
    prefix_queries: int = 0
    prefix_hits: int = 0
    preemptions: int = 0
    finished: int = 0
    aborted: int = 0
    busy_s: float = 0.0
    """Time in steps."""
    turned_away: int = 0
    """Attempts that it answered with 503."""

    def __add__(self, other: "Stats") -> "Stats":
        return Stats(
            self.prompt_tokens + other.prompt_tokens,
            self.generation_tokens + other.generation_tokens,
            self.prefix_queries + other.prefix_queries,
            self.prefix_hits + other.prefix_hits,
            self.preemptions + other.preemptions,
            self.finished + other.finished,
            self.aborted + other.aborted,
            self.busy_s + other.busy_s,
            self.turned_away + other.turned_away,
        )
