"""Sessions of agents on virtual time: twenty turns each, tools that take up to half a minute, and memory for fewer of
them than come. Who is there keeps what was computed for it, and is served in time to its end."""

from collections import defaultdict
from dataclasses import replace
from random import Random
from typing import NamedTuple

import pytest

from proxy.report.report import is_good
from proxy.report.run import Result
from proxy.sim.world.cluster import SimBackend, build_cluster, read_engines
from proxy.sim.world.jobs import SeenByProxy
from proxy.sim.world.slo import parse_slo, promised
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival

BLOCK, TURNS, SYSTEM = 64, 20, 2000
KV = 120_000
"""Tokens of each engine: a session ends with about 28,000."""


class Turn(NamedTuple):
    arrival: Arrival
    session: int
    number: int


def agents(seed: int, per_s: float, lasts_s: float, *, named: bool = False) -> list[Turn]:
    """Sessions begin at random for so long; each turn adds a tool's result to all that was said."""
    rng, at, turns, session = Random(seed), 0.0, [], 0
    while (at := at + rng.expovariate(per_s)) < lasts_s:
        session += 1
        turns += _session(Random(f"{seed} {session}"), session, at, named)
    return sorted(turns, key=lambda turn: turn.arrival.at)


def _session(rng: Random, session: int, at: float, named: bool) -> list[Turn]:
    turns, tokens, system = [], SYSTEM, rng.randrange(4)
    for number in range(TURNS):
        tokens += int((900 if number else 2000) * rng.lognormvariate(0, 0.5))
        answer = max(5, int(150 * rng.lognormvariate(0, 0.5)))
        hashes = tuple(
            hash(("system", system, i)) if i < SYSTEM // BLOCK else hash((session, i)) for i in range(tokens // BLOCK)
        )
        name = f"agent {session}" if named else ""
        turns.append(Turn(Arrival(at, tokens, answer, hashes, session=name), session, number))
        tokens += answer
        at += 0.5 + 0.03 * answer + rng.uniform(1, 30)
    return turns


class Outcome(NamedTuple):
    kept: int
    """Sessions all of whose turns were in time."""
    good: float
    """Share of the turns."""
    hit: float
    """Tokens found in caches, of those that the turn before had."""
    refused: int


def played(turns: list[Turn], policy: str, seed: int = 1) -> Outcome:
    backends = [_with_small_blocks(b) for b in build_cluster(read_engines("4xmooncake16"), ())]
    arrivals = promised([turn.arrival for turn in turns], parse_slo("ttft=2s,tpot=100ms"))
    jobs = SeenByProxy(seed, BLOCK)
    results = World(backends, build_scheduler(backends, policy, seed), jobs=jobs).play(arrivals).results
    kept: dict[int, bool] = defaultdict(lambda: True)
    for turn, result in zip(turns, results, strict=True):
        kept[turn.session] &= is_good(result)
    refused = sum(result.first_token_at is None for result in results)
    return Outcome(sum(kept.values()), sum(map(is_good, results)) / len(results), _hit(turns, results), refused)


def _with_small_blocks(backend: SimBackend) -> SimBackend:
    engine = replace(backend.engine, kv_tokens=KV, prefix_tokens=BLOCK, max_model_len=65_536)
    return replace(backend, engine=engine)


def _hit(turns: list[Turn], results: list[Result]) -> float:
    before: dict[int, int] = {}
    there = found = 0
    for turn, result in zip(turns, results, strict=True):
        if result.first_token_at is None:
            continue
        if turn.session in before:
            there += before[turn.session] // BLOCK * BLOCK
            found += result.cached_tokens
        before[turn.session] = turn.arrival.prompt_tokens
    return min(1.0, found / max(1, there))


@pytest.mark.parametrize("seed", [3, 4])
@pytest.mark.parametrize("named", [False, True])
def test_with_too_little_memory_for_all_those_who_are_there_are_served(seed: int, named: bool) -> None:
    turns = agents(seed, 0.1, 600.0, named=named)
    ours, other = played(turns, "goodput", seed), played(turns, "prefix_cache_aware", seed)
    assert other.hit < 0.9, "memory is not short"
    assert ours.hit >= 0.92
    assert ours.kept >= 1.3 * max(5, other.kept)


def test_with_memory_for_all_nobody_is_refused() -> None:
    turns = agents(5, 0.03, 600.0)
    ours = played(turns, "goodput", 5)
    assert ours.refused == 0
    assert ours.hit >= 0.99
    assert ours.good >= 0.995
