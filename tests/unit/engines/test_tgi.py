"""TGI's own metrics, model list and flat errors."""

from typing import Any

import pytest

from proxy.engines.load import Reading
from proxy.engines.tgi import TGI
from proxy.model.engine_facts import EngineFacts

METRICS, INFO = TGI.loads
TEXT = b"tgi_batch_current_size 8\ntgi_queue_size 2\ntgi_request_count 11\n"


def test_its_load() -> None:
    assert METRICS.read(TEXT) == Reading(8, 2, odometer=11)


def test_what_it_says_of_itself() -> None:
    text = (
        b'{"model_id":"org/m","model_sha":"abc","max_total_tokens":4096,"max_concurrent_requests":8,"version":"3.3.6"}'
    )
    assert INFO.read(text) == Reading(contexts={"org/m": 4096}, facts=EngineFacts(version="3.3.6", revision="abc"))


@pytest.mark.parametrize(
    "value", [b"NaN", b"+Inf", b"-1", b"", b"abc", b"1e999", b"1_000", b"\xff", b'{a="', b"{} {} 1"]
)
def test_a_number_that_is_none_is_unknown(value: bytes) -> None:
    assert METRICS.read(b"tgi_queue_size " + value + b"\n").waiting is None


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"id": "org/m", "owned_by": "org/m", "created": 0}, True),
        ({"id": "org/m", "owned_by": "org/m", "created": 1}, False),
        ({"id": "org/m", "owned_by": "org/m", "created": False}, False),
        ({"id": "org/m", "owned_by": "org", "created": 0}, False),
        ({"created": 0}, False),
    ],
)
def test_its_model_belongs_to_itself(entry: dict[str, Any], expected: bool) -> None:
    assert TGI.is_entry is not None
    assert TGI.is_entry(entry) is expected
