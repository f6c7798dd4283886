"""Which weights: what changes with them, and what does not."""

from typing import Any

import orjson
import pytest

from proxy.engines.ollama import OLLAMA
from proxy.engines.revision import of_entries
from tests.engines_captures.reading import capture, named

_LISTS = named(lambda c: c.status == 200 and c.name.rpartition("/")[2] == "models")


def revision(**more: Any) -> str | None:
    return of_entries([{"id": "m", "object": "model", **more}]).get("m")


def test_what_says_nothing_of_weights_is_no_revision() -> None:
    assert revision(created=1, owned_by="x", permission=[{"id": "p-1"}], root="", meta=None) is None


@pytest.mark.parametrize("more", [{"root": "/models/a"}, {"max_model_len": 9}, {"meta": {"size": 5, "n_params": 3}}])
def test_what_changes_with_weights_is_one(more: dict[str, Any]) -> None:
    assert revision(**more)
    assert revision(**more) == revision(created=2, **more)
    assert revision(**more) != revision(root="/models/b")


@pytest.mark.parametrize("name", _LISTS)
def test_lists_of_engines_are_read(name: str) -> None:
    entries = orjson.loads(capture(name).body)["data"]
    again = [{**entry, "created": 5} for entry in entries]
    assert of_entries(entries) == of_entries(again)


def test_ollama_tells_digests_beside_its_list() -> None:
    assert OLLAMA.revisions is not None
    body = b'{"models":[{"name":"a:latest","digest":"d1"},{"name":"b:7b","digest":"d2"},{"name":1},3,{"name":"c"}]}'
    assert OLLAMA.revisions(body) == {"a:latest": "d1", "a": "d1", "b:7b": "d2"}
    assert OLLAMA.revisions(b"nonsense") == {}
