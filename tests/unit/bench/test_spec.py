"""What goes over the pipe comes back as it was."""

import pytest

from proxy.bench.run_file import Arrivals, Client, Warmup
from proxy.bench.spec import Beat, Finished, LoadSpec, Sample, TargetSpec, line_of, told_in
from tests.unit.bench.requests_made import detail, row

SPEC = LoadSpec(
    cell="c",
    workload=["short-chat"],
    seed=1,
    arrivals=Arrivals(process="closed", concurrency=2),
    targets={"url": TargetSpec(url="http://h")},
    done={"url": [1, 2]},
)


@pytest.mark.parametrize(
    "told",
    [
        Beat(phase="measuring", open=1, sent=2, lag_ms=0.5),
        Finished(client=Client(cpu=0.5), warmup=Warmup(requests=3), whole=True, notes=["x"]),
        Sample(row=row(), detail=detail(stages_ms={"queue": 1.0}, text="ä")),
        Sample(row=row(ttft_ms=None, success=False), detail=detail(outcome="failed", status=None)),
    ],
)
def test_what_is_told(told: Beat | Finished | Sample) -> None:
    line = line_of(told)
    assert line.count(b"\n") == 1
    assert told_in(line) == told


def test_what_is_asked_for() -> None:
    assert LoadSpec.model_validate_json(SPEC.model_dump_json()) == SPEC
