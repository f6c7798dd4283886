"""What a request is in the words of the GenAI conventions."""

import pytest

from proxy.model.endpoint import Endpoint
from proxy.model.faults import Kind, downstream, upstream
from proxy.model.outcome import Phase, failed_with
from proxy.obs import genai
from tests.unit.obs.records import record


@pytest.mark.parametrize(
    ("endpoint", "operation", "work", "inference"),
    [
        ("chat.completions", "chat", True, True),
        ("messages", "chat", True, True),
        ("responses", "chat", True, True),
        ("completions", "text_completion", True, True),
        ("embeddings", "embeddings", True, False),
        ("rerank", "rerank", True, False),
        ("models", "models", False, False),
        ("other", "other", False, False),
    ],
)
def test_operations(endpoint: str, operation: str, work: bool, inference: bool) -> None:
    assert genai.FACTS[endpoint] == (operation, work, inference)


@pytest.mark.parametrize("endpoint", list(Endpoint))
def test_every_endpoint_has_one(endpoint: Endpoint) -> None:
    assert genai.FACTS[endpoint.value].operation


def test_a_name_that_nobody_serves_is_not_told() -> None:
    assert genai.models(record(model_asked="whatever a client says", model_served="")) == ("", "")
    assert genai.models(record(model_asked="a" * 1000, model_served="b" * 1000)) == ("a" * 256, "b" * 256)


def test_errors_are_kinds_of_faults_and_a_client_that_left_is_none() -> None:
    assert genai.error_type(record()) == ""
    assert genai.error_type(record(outcome=failed_with(upstream(Kind.CUT, "words"), Phase.STREAM))) == "cut"
    assert genai.error_type(record(outcome=failed_with(downstream(Kind.LEFT, "words"), Phase.STREAM))) == ""
