"""What must hold of all engines together."""

import re

import pytest

from proxy.config.backend import BackendOptions
from proxy.engines.base import Dialect
from proxy.engines.registry import DIALECTS, UNKNOWN

ALL = list(DIALECTS.values())


def test_dialects() -> None:
    assert all(kind == dialect.kind for kind, dialect in DIALECTS.items())
    assert UNKNOWN in ALL
    assert [d.kind for d in ALL if not d.says_done] == ["transformers"]


def test_traits() -> None:
    assert [d.kind for d in ALL if d.traits.loose_names] == ["ollama"]
    assert [d.kind for d in ALL if d.traits.counts_answer] == ["vllm", "sglang", "tgi"]


def test_no_sign_is_that_of_two() -> None:
    for name in ("owners", "ports", "mistaken", "spellings"):
        signs = [sign for dialect in ALL for sign in getattr(dialect, name)]
        assert len(set(signs)) == len(signs)
    servers = [d.server for d in ALL if d.server]
    assert not any(a in b for a in servers for b in servers if a is not b)


@pytest.mark.parametrize("dialect", ALL, ids=DIALECTS)
def test_words_are_regular_expressions_and_routes_are_paths(dialect: Dialect) -> None:
    assert all(re.compile(pattern) for patterns in dialect.refusals.values() for pattern in patterns)
    assert all(route.startswith("/") and (route == "/" or not route.endswith("/")) for route in dialect.routes)


@pytest.mark.parametrize("kind", [d.kind for d in ALL if d.selectable])
def test_every_name_and_spelling_is_an_option(kind: str) -> None:
    for spelling in (kind, kind.upper(), *DIALECTS[kind].spellings):
        assert BackendOptions.model_validate({"url": "http://x", "kind": spelling}).kind == kind
