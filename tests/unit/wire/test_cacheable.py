"""Which requests may be answered from memory."""

from typing import Any

import pytest

from proxy.model.cache import CacheMode
from proxy.model.endpoint import Endpoint
from proxy.model.request import Request
from proxy.wire.cacheable import NO_DIRECTIVES, Directives, directives, is_exact, may_be_kept


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (None, NO_DIRECTIVES),
        (b"", NO_DIRECTIVES),
        (b"nonsense, max-age=x, max-age=-1", NO_DIRECTIVES),
        (b"no-store", Directives(no_store=True)),
        (b"No-Cache", Directives(no_cache=True)),
        (b"max-age=60", Directives(max_age_s=60)),
        (b'max-age="60", max-age=30', Directives(max_age_s=30)),
        (b"max-age=0", Directives(no_cache=True, max_age_s=0)),
        (b"no-transform, only-if-cached , max-age=5", Directives(max_age_s=5, only_if_cached=True)),
    ],
)
def test_directives(header: bytes | None, found: Directives) -> None:
    assert directives(header) == found


@pytest.mark.parametrize(
    ("fields", "exact"),
    [
        ({"temperature": 0}, True),
        ({"temperature": 0.0}, True),
        ({"temperature": -0.0}, True),
        ({"seed": 7, "temperature": 1}, True),
        ({}, False),
        ({"temperature": None}, False),
        ({"temperature": False}, False),
        ({"temperature": "0"}, False),
        ({"temperature": 0.1}, False),
        ({"seed": None}, False),
        ({"seed": -1}, False),  # llama.cpp: a random one
        ({"seed": True}, False),
    ],
)
def test_exact_is_greedy_or_seeded(fields: dict[str, Any], exact: bool) -> None:
    assert is_exact(fields) is exact


@pytest.mark.parametrize(
    ("endpoint", "stream", "mode", "fields", "kept"),
    [
        (Endpoint.CHAT, True, "exact", {"temperature": 0}, True),
        (Endpoint.CHAT, False, "exact", {"temperature": 1}, False),
        (Endpoint.CHAT, False, "all", {"temperature": 1}, True),
        (Endpoint.CHAT, False, "off", {"temperature": 0}, False),
        (Endpoint.CHAT, False, "all", {"store": True}, False),
        (Endpoint.CHAT, False, "all", {}, False),  # not JSON
        (Endpoint.MESSAGES, True, "exact", {"temperature": 0}, True),
        (Endpoint.EMBEDDINGS, False, "exact", {"input": "a"}, True),
        (Endpoint.RERANK, False, "exact", {"query": "a"}, True),
        (Endpoint.RESPONSES, False, "all", {"temperature": 0}, False),  # leaves something behind
        (Endpoint.AUDIO, False, "all", {"input": "a"}, False),
        (Endpoint.OTHER, False, "all", {"temperature": 0}, False),
    ],
)
def test_what_is_kept(endpoint: Endpoint, stream: bool, mode: CacheMode, fields: dict[str, Any], kept: bool) -> None:
    request = Request("id", "POST", "/v1/x", endpoint, "m", stream=stream)
    assert may_be_kept(request, fields, mode) is kept
