"""What Ollama's clients look up: one list of all backends, aliases and permissions heeded, nothing invented."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.engines.registry import DIALECTS
from proxy.live.catalogue import ModelList
from proxy.live.ollama_lists import OllamaLists
from proxy.live.upstream.backends import Upstream


class Models:
    def __init__(self, names: tuple[str, ...], versions: dict[str, str]) -> None:
        self.names, self.versions = names, versions

    def there(self, label: str, permitted: Any = None) -> tuple[str, ...]:
        assert label == "route=/api/chat"
        return tuple(name for name in self.names if permitted is None or name in permitted)

    def version_at(self, backend: str) -> str:
        return self.versions.get(backend, "")


def entry(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "model": name, "size": 5, "digest": "d" + name, "details": {"family": "llama"}, **more}


def backend(name: str, *listed: Any, aliases: dict[str, str] | None = None, kind: str = "ollama", **more: Any) -> Any:
    def body(entries: Any) -> bytes:
        return json.dumps({"models": entries}).encode()

    in_memory = body(more["in_memory"]) if "in_memory" in more else b""
    fields = {"name": name, "aliases": aliases or {}, "dialect": DIALECTS[kind]}
    return SimpleNamespace(**fields, listed=body(listed), in_memory=in_memory)


def lists(*backends: Any, names: tuple[str, ...], versions: dict[str, str] | None = None) -> OllamaLists:
    models = cast(ModelList, Models(names, versions or {}))
    return OllamaLists(models, tuple(cast(Upstream, one) for one in backends))


def test_all_backends_models_together() -> None:
    found = lists(
        backend("one", entry("a:latest"), entry("hidden:latest"), aliases={"chat": "a", "b": "missing"}),
        backend("two", entry("a:latest", size=6), entry("b:7b", extra=[1])),
        names=("a:latest", "b", "b:7b", "chat", "theirs"),
    )
    told = {one["name"]: one for one in json.loads(found.tags(None))["models"]}
    assert list(told) == ["a:latest", "b", "b:7b", "chat", "theirs"]
    assert told["a:latest"] == entry("a:latest"), "the first to describe it"
    assert told["b:7b"] == entry("b:7b", extra=[1])
    assert told["chat"] == entry("a:latest") | {"name": "chat", "model": "chat"}
    assert told["theirs"]["digest"] == told["b"]["digest"] == ""
    assert set(told["theirs"]) == {"name", "model", "modified_at", "size", "digest", "details"}


def test_what_is_not_for_a_tenant_is_not_listed() -> None:
    found = lists(backend("one", entry("a"), entry("b"), in_memory=[entry("b", size_vram=3)]), names=("a", "b"))
    assert [one["name"] for one in json.loads(found.tags(("a",)))["models"]] == ["a"]  # type: ignore[arg-type]
    assert json.loads(found.ps(("a",))) == {"models": []}  # type: ignore[arg-type]


def test_what_is_in_memory_of_any_backend() -> None:
    found = lists(
        backend("one", entry("a"), aliases={"chat": "a"}, in_memory=[entry("a", expires_at="soon")]),
        backend("two", entry("b"), in_memory=[]),
        names=("a", "b", "chat"),
    )
    assert [one["name"] for one in json.loads(found.ps(None))["models"]] == ["a", "chat"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"models":{}}', b'{"models":[1,{"name":3},null]}', b'{"models":null}']
)
def test_lists_that_are_none(body: bytes) -> None:
    one = backend("one")
    one.listed = one.in_memory = body
    found = lists(one, names=("a",))
    assert [told["name"] for told in json.loads(found.tags(None))["models"]] == ["a"]
    assert json.loads(found.ps(None)) == {"models": []}


def test_a_list_is_read_again_when_it_is_another_one() -> None:
    one = backend("one", entry("a"))
    found = lists(one, names=("a",))
    assert json.loads(found.tags(None))["models"][0]["size"] == 5
    one.listed = json.dumps({"models": [entry("a", size=6)]}).encode()
    assert json.loads(found.tags(None))["models"][0]["size"] == 6


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        ({"one": "0.33.0", "two": "0.4.7"}, "0.4.7"),
        ({"one": "0.33.0-rc2", "two": "", "other": "0.1"}, "0.33.0-rc2"),
        ({}, "0.0.0"),
        ({"one": "v1.x.2", "two": "1.1"}, "v1.x.2"),
    ],
)
def test_the_oldest_version_is_the_one_that_all_can_do(versions: dict[str, str], told: str) -> None:
    found = lists(backend("one"), backend("two"), backend("other", kind="vllm"), names=(), versions=versions)
    assert json.loads(found.version()) == {"version": told}


def test_who_greets() -> None:
    assert lists(backend("one", kind="tgi"), backend("two"), names=()).greeting() == b"Ollama is running"
    assert lists(backend("one", kind="tgi"), names=()).greeting() == b""
