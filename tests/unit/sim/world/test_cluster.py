"""Which engines are simulated, from a line or a file."""

from pathlib import Path

import pytest

from proxy.model.backend import BackendSpec
from proxy.sim.engine.spec import LOW_LATENCY, MOONCAKE16, EngineKind
from proxy.sim.world.cluster import (
    ClusterError,
    MetricsSource,
    SimBackend,
    all_alike,
    build_cluster,
    hashed_by,
    read_engines,
)

NAMED = (BackendSpec("gpu1", models=frozenset({"m"})), BackendSpec("gpu2"))


def cluster(text: str) -> list[SimBackend]:
    return build_cluster(read_engines(text), ())


def test_a_line() -> None:
    backends = cluster("2xlow_latency,1xmooncake16:slower=5,from=60s,metrics=frozen,token_budget=512,pool=old")
    assert [b.spec.name for b in backends] == ["low_latency-1", "low_latency-2", "mooncake16-1"]
    assert (backends[0].engine, backends[0].slower) == (LOW_LATENCY, 1.0)
    last = backends[2]
    assert (last.slower, last.slower_from_s, last.metrics, last.spec.pool) == (5.0, 60.0, MetricsSource.FROZEN, "old")
    assert last.engine.token_budget == 512
    assert last.spec.kv_tokens is None, "the scheduler is told nothing of the constants"


def test_a_file_of_engines_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "engines.yaml"
    path.write_text("engines:\n  - {count: 3, name: a, slower: 2}\n  - {preset: low_latency, kind: serial}\n")
    backends = build_cluster(read_engines(str(path)), NAMED)
    assert [b.spec.name for b in backends] == ["a-1", "a-2", "a-3", "low_latency-1"]
    assert backends[0].engine == MOONCAKE16
    assert (backends[3].engine.kind, backends[3].engine.max_num_seqs) == (EngineKind.SERIAL, 1)


def test_a_file_of_engines_behind_named_backends(tmp_path: Path) -> None:
    path = tmp_path / "engines.yaml"
    path.write_text("engines:\n  - {backend: gpu2, preset: low_latency, constants: {step_s: 0.01}}\n")
    one, two = build_cluster(read_engines(str(path)), NAMED)
    assert (one.spec, one.engine) == (NAMED[0], MOONCAKE16)
    assert (two.spec, two.engine.step_s, two.engine.max_num_seqs) == (NAMED[1], 0.01, LOW_LATENCY.max_num_seqs)


def test_prompts_are_hashed_as_the_traffic_does() -> None:
    assert {b.engine.prefix_tokens for b in hashed_by(all_alike(NAMED), 64)} == {64}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2xwarp_drive", "unknown; known: low_latency"),
        ("slower=2", "before any engine"),
        ("mooncake16:slower=x", "not a number"),
        ("mooncake16:slower=0", "greater than 0"),
        ("mooncake16:colour=1", "colour"),
        ("mooncake16:from=60", "unit"),
        ("mooncake16:metrics=odd", "metrics"),
        ("mooncake16:token_budget=0.5", "whole number"),
        ("mooncake16:max_queued=0.5", "whole number"),
        ("mooncake16:step_s=NaN", "neither negative nor infinite"),
        ("mooncake16:step_s=-1", "neither negative nor infinite"),
        ("mooncake16:slower=Infinity", "slower"),
        ("mooncake16:outage at 60s for 20s,outage at 70s", "overlap"),
        ("mooncake16:noise 500%", "'noise 500%': noise must be between 0 and 100 %"),
        ("mooncake16:outage at 60", "'outage at 60': 60 has no unit"),
        ("outage at 60s,mooncake16", "unknown"),
        ("mooncake16:token_budget=10", "must exceed max_num_seqs"),
        ("mooncake16:kv_tokens=100", "does not fit"),
        ("0xmooncake16", "greater than or equal to 1"),
        ("99999xmooncake16", "count"),
        ("nowhere.yaml", "nowhere.yaml"),
    ],
)
def test_what_cannot_be_simulated_is_refused(text: str, why: str) -> None:
    with pytest.raises(ClusterError, match=why):
        cluster(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("engines: []", "engines"),
        ("", "is empty"),
        ("engines:\n  - {preset: low_latency, sped: 1}", "sped"),
        ("engines:\n  - [", r"engines\.yml:\d+:\d+: "),
        ("engines:\n  - {constants: {prefix_tokens: 16}}", "prefix_tokens"),
        ("engines:\n  - {backend: gpu3}", "no backend is named gpu3"),
        ("engines:\n  - {backend: gpu1}\n  - {count: 2}", "either every engine"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "engines.yml"
    path.write_text(text)
    with pytest.raises(ClusterError, match=why):
        build_cluster(read_engines(str(path)), NAMED)
