"""Every case file against one proxy: the answer, the connection, the engine, the logs, and a good request after it."""

import pytest

from tests.support.bed import backend_entry
from tests.wire_corpus.case_files import Case, load_cases
from tests.wire_corpus.expectations import Attempt, assert_good, assert_output_is_clean

CASES = load_cases()
LIMITS = {"head": {"timeout": "1s"}, "body": {"stall": "1s", "timeout": "4s"}}
HEALTH = {"consecutive_failures": 1000, "failure_ratio": 1.0}
"""An engine that misbehaves on purpose is not to be ejected between two cases."""


@pytest.fixture(scope="module")
def engine(bed):
    with bed.backend(models=("fake-model", "another")) as backend:
        yield backend


@pytest.fixture(scope="module")
def proxy(bed, engine):
    config = {"backends": [backend_entry(engine, "alpha")], "limits": LIMITS, "health": HEALTH}
    with bed.proxy(config, models=2) as process:
        yield process


@pytest.mark.parametrize("case", CASES, ids=[case.id for case in CASES])
def test_case(case: Case, proxy, engine):
    Attempt(case, proxy, engine).run()
    assert_good(proxy)
    assert_output_is_clean(proxy)
