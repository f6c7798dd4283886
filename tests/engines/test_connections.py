"""A real llama-server closes connections early and often; its clients do not notice.

It ends an idle connection after 5 seconds, every connection after 100 requests, and each one that carried a stream.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from tests.engines.conftest import TEXT
from tests.support.proxy_process import ProxyProcess

REQUESTS_PER_CONNECTION = 100
IDLE_S = 5.0


def short(**more: Any) -> dict[str, Any]:
    return {"model": TEXT, "prompt": "water", "max_tokens": 1, **more}


def test_more_requests_than_one_connection_carries(proxy: ProxyProcess, through: openai.OpenAI) -> None:
    for _ in range(REQUESTS_PER_CONNECTION + 10):
        assert through.completions.create(**short()).choices[0].finish_reason == "length"


def test_streams_one_after_the_other(through: openai.OpenAI) -> None:
    for _ in range(20):
        chunks = list(through.completions.create(stream=True, **short(max_tokens=2)))
        assert chunks[-1].choices[0].finish_reason == "length"


@pytest.mark.parametrize("pause_s", [IDLE_S - 0.05, IDLE_S, IDLE_S + 0.5])
def test_after_a_pause(through: openai.OpenAI, pause_s: float) -> None:
    """Just before, at and after the moment at which the engine closes the pooled connection."""
    assert through.completions.create(**short()).choices
    time.sleep(pause_s)
    assert through.completions.create(**short()).choices


def test_more_at_once_than_it_has_slots(through: openai.OpenAI) -> None:
    with ThreadPoolExecutor(max_workers=12) as pool:
        jobs = [pool.submit(lambda: through.completions.create(**short(max_tokens=8))) for _ in range(36)]
        answers = [job.result() for job in jobs]
    assert all(answer.usage and answer.usage.completion_tokens == 8 for answer in answers)
