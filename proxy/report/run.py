"""What a run of the world leaves behind: the fate of every arrival, the command log, what the engines computed."""

from dataclasses import dataclass, field

from proxy.model.commands import Abort, Command, Dispatch
from proxy.model.outcome import Outcome, Phase, Verdict
from proxy.report.stats import Stats
from proxy.workload.arrival import Arrival


@dataclass(slots=True)
class Result:
    """What became of one arrival; its position in the trace is its job id."""

    arrival: Arrival
    outcome: Outcome | None = None
    reason: str = ""
    """Why it was refused or failed, in one word."""
    backend: str | None = None
    """The last it was sent to."""
    falsely_refused: bool = False
    """Refused for time, while an engine could have taken it and everybody's promise been kept."""
    attempts: int = 0
    hedged: bool = False
    first_token_at: float | None = None
    done_at: float | None = None
    cached_tokens: int = 0

    @property
    def ttft_s(self) -> float | None:
        """From the arrival to the first token."""
        return None if self.first_token_at is None else self.first_token_at - self.arrival.at

    @property
    def e2e_s(self) -> float | None:
        """From the arrival to the end, whatever it was."""
        return None if self.done_at is None else self.done_at - self.arrival.at

    @property
    def tpot_s(self) -> float | None:
        """Mean time per output token after the first; None for answers of one token and for lost ones."""
        if self.first_token_at is None or self.done_at is None or self.arrival.output_tokens < 2:
            return None
        if self.outcome is None or self.outcome.verdict is not Verdict.SERVED:
            return None
        return (self.done_at - self.first_token_at) / (self.arrival.output_tokens - 1)

    @property
    def phase(self) -> Phase:
        """How far it has come."""
        if self.first_token_at is not None:
            return Phase.STREAM
        return Phase.HEAD if self.attempts else Phase.QUEUE


@dataclass(slots=True)
class SimulatedRun:
    """One run of the world."""

    results: list[Result]
    log: list[tuple[float, Command]] = field(default_factory=list)
    ended_at: float = 0.0
    engines: dict[str, Stats] = field(default_factory=dict)
    """What each backend's engine computed."""

    def log_bytes(self) -> bytes:
        """The command log as text, one command a line."""
        return "\n".join(f"{at!r} {_as_text(command)}" for at, command in self.log).encode()


def _as_text(command: Command) -> str:
    if isinstance(command, Dispatch):
        jobs = "+".join(map(str, command.jobs))
        return f"dispatch {jobs} {command.backend} {command.number}{' hedge' if command.hedge else ''}"
    if isinstance(command, Abort):
        return f"abort {command.jobs[0]} {command.backend}"
    return f"refuse {command.job_id} {command.fault.kind} {command.fault.retry_after_s!r}"
