"""The process that makes the load, as its parent sees it: it is told by standard input, and ends with it."""

import subprocess
import sys

from proxy.bench.child import WORKER
from proxy.bench.spec import Finished, Sample, told_in
from tests.unit.bench.engines_made import spec


def worker() -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", WORKER]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_nobody_there_is_measured_too() -> None:
    with worker() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(spec("http://127.0.0.1:1", requests=3).model_dump_json().encode() + b"\n")
        process.stdin.flush()
        told = [told_in(line) for line in process.stdout]
        assert process.wait(60) == 0
    samples = [one.detail for one in told if isinstance(one, Sample)]
    assert [(one.outcome, one.error) for one in samples] == [("failed", "connection refused")] * 3
    assert isinstance(told[-1], Finished)


def test_it_ends_with_its_parent() -> None:
    with worker() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        one = spec("http://127.0.0.1:1", workload=["multi-turn"], requests=1000)
        process.stdin.write(one.model_dump_json().encode() + b"\n")
        process.stdin.flush()
        assert process.stdout.readline()
        process.stdin.close()
        process.stdin = None
        assert process.wait(60) == 0
