"""The published traces, where somebody has them: what has to come out of the scheduler.

Skipped, loudly, unless `TIDEGATE_TRACES` names a directory with the files.
"""

import os
from pathlib import Path

import pytest

from proxy.report.report import Report, report_of
from proxy.sim.world.cluster import build_cluster, read_engines
from proxy.sim.world.slo import parse_slo, promised
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.traces import read_trace

VARIABLE = "TIDEGATE_TRACES"
MOONCAKE = "mooncake_synthetic_trace.jsonl"
AZURE = "AzureLLMInferenceTrace_code.csv"


def trace(name: str) -> Path:
    path = Path(os.environ.get(VARIABLE, "")) / name
    if VARIABLE not in os.environ or not path.is_file():
        pytest.skip(f"NO TRACE: set {VARIABLE} to the directory with {name}; nothing is said of real traffic without")
    return path


def played(name: str, engines: str, policy: str, speed: float) -> Report:
    backends = build_cluster(read_engines(engines), ())
    arrivals = promised(read_trace(trace(name), speed=speed).arrivals, parse_slo("mooncake"))
    return report_of(World(backends, build_scheduler(backends, policy, 1)).play(arrivals))


def test_the_files_are_what_they_are_said_to_be() -> None:
    mooncake, azure = read_trace(trace(MOONCAKE)), read_trace(trace(AZURE))
    assert (len(mooncake.arrivals), round(mooncake.span_s), round(mooncake.rate_per_s, 2)) == (3993, 1022, 3.91)
    assert (len(azure.arrivals), round(azure.rate_per_s, 2)) == (8819, 2.57)


@pytest.mark.slow
@pytest.mark.parametrize(("speed", "least"), [(1.0, 0.97), (1.5, 0.92), (2.0, 0.86)])
def test_mooncake(speed: float, least: float) -> None:
    assert played(MOONCAKE, "16xmooncake16", "goodput", speed).total.goodput >= least


@pytest.mark.slow
def test_azure_is_no_worse_than_a_simple_baseline() -> None:
    ours = played(AZURE, "4xmooncake16", "goodput", 1.0).total.goodput
    assert ours >= played(AZURE, "4xmooncake16", "least_outstanding", 1.0).total.goodput - 0.005
