"""Where an operator's key goes: as a bearer token, but to whom reads it elsewhere."""

from proxy.engines.anthropic import ANTHROPIC
from proxy.engines.keys import key_headers
from proxy.engines.registry import DIALECTS

VERSION = {"anthropic-version": "2023-06-01"}


def test_a_bearer_token_for_all_but_one() -> None:
    for dialect in DIALECTS.values():
        if dialect is not ANTHROPIC:
            assert key_headers(dialect, "/v1/messages", "sk") == {"authorization": "Bearer sk"}
            assert key_headers(dialect, "/v1/messages", None) == {}


def test_anthropic_reads_it_elsewhere_and_wants_a_version() -> None:
    for path in ("/v1/messages", "/v1/messages/count_tokens", "/v1/models"):
        assert key_headers(ANTHROPIC, path, "sk") == {"x-api-key": "sk", **VERSION}


def test_a_client_that_shows_its_own_key_gets_the_version_alone() -> None:
    assert key_headers(ANTHROPIC, "/v1/messages", None) == VERSION


def test_its_route_in_openais_shape_reads_a_bearer_token() -> None:
    assert key_headers(ANTHROPIC, "/v1/chat/completions", "sk") == {"authorization": "Bearer sk"}
    assert key_headers(ANTHROPIC, "/v1/chat/completions", None) == {}
