"""Anthropic's own API: known by its host, and what of it is asked."""

import pytest

from proxy.config.backend import BackendOptions
from proxy.engines.anthropic import ANTHROPIC
from proxy.engines.recognition import by_host
from proxy.engines.routes import offers


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://api.anthropic.com", "anthropic"),
        ("https://API.Anthropic.com/v1", "anthropic"),
        ("http://api.anthropic.com:8000", "anthropic"),
        ("https://api.anthropic.com.example", "auto"),
        ("https://api.openai.com", "auto"),
    ],
)
def test_by_its_host(url: str, kind: str) -> None:
    assert BackendOptions(url=url).known_kind == kind


def test_a_kind_that_is_written_goes_before_the_host() -> None:
    assert BackendOptions(url="https://api.anthropic.com", kind="openai").known_kind == "openai"
    assert BackendOptions(url="https://gateway.example", kind="anthropic").known_kind == "anthropic"
    assert by_host("gateway.example") is None


def test_its_administration_passes_to_nobody() -> None:
    assert offers(ANTHROPIC.kind, "/v1/messages/batches")
    assert not offers(ANTHROPIC.kind, "/v1/organizations/me/members")


def test_all_models_are_asked_for() -> None:
    assert ANTHROPIC.models_at == "/v1/models?limit=1000"
