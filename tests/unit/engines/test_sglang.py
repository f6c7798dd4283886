"""SGLang's own metrics and routes."""

from proxy.engines.load import Reading
from proxy.engines.sglang import SGLANG

(METRICS,) = SGLANG.loads
TEXT = b"""sglang:num_running_reqs{model_name="m"} 5.0
sglang:num_queue_reqs{model_name="m"} 0.0
sglang:token_usage{model_name="m"} 0.5
sglang:max_total_num_tokens{model_name="m"} 80000.0
"""


def test_its_load() -> None:
    assert METRICS.read(TEXT) == Reading(5, 0, 0.5, 80000)


def test_it_is_asked_for_usage_in_every_event() -> None:
    assert SGLANG.continuous_usage
    assert "/v1/classify" in SGLANG.routes
