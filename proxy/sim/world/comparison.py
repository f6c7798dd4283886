"""Several ways to schedule, the same arrivals, several seeds: plays every pairing and keeps what it was worth.

Owns the loop and the pairing. What a contender is made of (which scheduler, from which file) is the caller's business.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import process_time

from proxy.report.compare import Difference, difference
from proxy.report.intervals import INTERVAL_S, Slice, slices_of
from proxy.report.report import Report, is_good, report_of
from proxy.report.run import SimulatedRun
from proxy.sim.world.cluster import SimBackend
from proxy.workload.arrival import Arrival


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to schedule."""

    name: str
    play: Callable[[Sequence[Arrival], int, Callable[[int], None]], SimulatedRun]
    """Arrivals, a seed, and whom to tell how many arrivals are in."""
    backends: Sequence[SimBackend] = ()
    """What it is played on, for who wants to say or check it."""


@dataclass(slots=True)
class ComparedRun:
    """One contender on one seed."""

    contender: str
    seed: int
    report: Report
    wall_s: float
    good: list[float]
    """Per arrival: 1 or 0."""
    good_tokens: list[float]
    """Per arrival: its output tokens, or 0."""
    offered_tokens: int
    false: list[float] = field(default_factory=list)
    """Per arrival: 1 where it was falsely refused, else 0."""
    slices: list[Slice] = field(default_factory=list)
    """The run in order of time."""

    @property
    def requests_per_s(self) -> float:
        """Simulated requests per second of processor time."""
        return self.report.total.requests / self.wall_s if self.wall_s else 0.0


@dataclass(slots=True)
class Comparison:
    """All runs, in the order of contenders, then seeds."""

    runs: list[ComparedRun] = field(default_factory=list)

    def of(self, contender: str) -> list[ComparedRun]:
        """The runs of one contender, by seed."""
        return [run for run in self.runs if run.contender == contender]

    def contenders(self) -> list[str]:
        """Their names, in order."""
        return list(dict.fromkeys(run.contender for run in self.runs))

    def differences(self) -> list[Difference]:
        """The first contender less each other one, in shares of the requests."""
        first, *others = self.contenders()
        ours = [run.good for run in self.of(first)]
        return [difference(first, other, ours, [run.good for run in self.of(other)]) for other in others]

    def token_differences(self) -> list[Difference]:
        """The same in shares of the offered output tokens."""
        first, *others = self.contenders()
        return [difference(first, other, self._token_shares(first), self._token_shares(other)) for other in others]

    def false_differences(self) -> list[Difference]:
        """The same in falsely refused shares of the requests: less is better; only those with any."""
        first, *others = self.contenders()
        ours = [run.false for run in self.of(first)]
        pairs = [(other, [run.false for run in self.of(other)]) for other in others]
        return [difference(first, other, ours, theirs) for other, theirs in pairs if any(map(any, (*ours, *theirs)))]

    def _token_shares(self, contender: str) -> list[list[float]]:
        """Scaled so that their mean is the share of all tokens."""
        runs = self.of(contender)
        return [[len(r.good) * tokens / max(1, r.offered_tokens) for tokens in r.good_tokens] for r in runs]


def compare(
    contenders: Sequence[Contender],
    seeds: Sequence[int],
    arrivals_of: Callable[[int], Sequence[Arrival]],
    progress: Callable[[str, int, int], None] = lambda *_: None,
    interval_s: float = INTERVAL_S,
) -> Comparison:
    """Every contender on every seed; `progress` hears what is played, and how far it is."""
    comparison = Comparison()
    for seed in seeds:
        arrivals = arrivals_of(seed)
        for contender in contenders:
            comparison.runs.append(_run(contender, seed, arrivals, progress, interval_s))
    comparison.runs.sort(key=lambda run: [c.name for c in contenders].index(run.contender))
    return comparison


def _run(
    contender: Contender,
    seed: int,
    arrivals: Sequence[Arrival],
    progress: Callable[[str, int, int], None],
    interval_s: float,
) -> ComparedRun:
    started = process_time()
    played = contender.play(
        arrivals, seed, lambda done: progress(f"{contender.name}, seed {seed}", done, len(arrivals))
    )
    took = process_time() - started
    good = [float(is_good(result)) for result in played.results]
    tokens = [result.arrival.output_tokens for result in played.results]
    return ComparedRun(
        contender.name,
        seed,
        report_of(played),
        took,
        good,
        [one * count for one, count in zip(good, tokens, strict=True)],
        sum(tokens),
        [float(result.falsely_refused) for result in played.results],
        slices_of(played.results, interval_s),
    )
