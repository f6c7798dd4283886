"""What is wrong around the cache."""

from typing import Any

import pytest
from pydantic import ValidationError

from proxy.config.backend import BackendOptions
from proxy.config.cache import CacheOptions, cache_findings, salt_findings
from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.plain import read
from proxy.config.schema import RoutingSettings
from proxy.model.cache import CacheRule
from proxy.model.classes import ClassSettings
from proxy.model.limits import Limits


def found(cache: dict[str, Any], **around: Any) -> list[Finding]:
    classes = [read(ClassSettings, entry) for entry in around.get("classes", ())]
    routing = read(RoutingSettings, around.get("routing", {}))
    limits = read(Limits, around.get("limits", {}))
    backends = [{"url": "http://127.0.0.1:1", **entry} for entry in around.get("backends", [{}])]
    options = {index: BackendOptions.model_validate(entry) for index, entry in enumerate(backends)}
    return list(cache_findings(read(CacheOptions, cache), classes, routing, limits, options))


def test_two_words_are_enough() -> None:
    assert found({"size": "256MiB", "ttl": "1h"}) == []
    assert found({}) == []


@pytest.mark.parametrize("name", ["ttl", "entry"])
def test_nothing_would_be_kept(name: str) -> None:
    (told,) = found({"size": "256MiB", name: 0})
    assert (told.path, told.severity) == (("cache", name), Severity.ERROR)


@pytest.mark.parametrize(
    ("cache", "around", "path"),
    [
        ({"ttl": "2h"}, {}, ("cache", "ttl")),
        ({"remote_password": "x"}, {}, ("cache", "remote_password")),
        ({}, {"classes": [{"name": "a", "cache": "all"}]}, ("classes", 0, "cache")),
        ({}, {"routing": {"models": [{"name": "m", "revision": "1"}]}}, ("routing", "models", 0, "revision")),
        ({"size": "1MiB", "entry": "2MiB"}, {}, ("cache", "entry")),
        ({"size": "9MiB", "tenant_share": 0.1}, {}, ("cache", "entry")),
        ({"size": "9MiB", "remote_password": "x"}, {}, ("cache", "remote_password")),
        ({"size": "9MiB"}, {"backends": [{"name": "cache"}]}, ("backends", 0, "name")),
    ],
)
def test_what_has_no_effect_warns(cache: dict[str, Any], around: dict[str, Any], path: tuple[Any, ...]) -> None:
    (told,) = found(cache, **around)
    assert (told.path, told.severity) == (path, Severity.WARNING)


def test_it_is_a_part_of_all_memory() -> None:
    (told,) = found({"size": "2GiB"}, limits={"memory": {"limit": "1GiB"}})
    assert (told.path, told.severity) == (("cache", "size"), Severity.ERROR)


def test_a_salt_for_an_engine_that_does_not_know_it() -> None:
    def told(kind: str) -> list[Finding]:
        entry = BackendOptions.model_validate({"url": "http://127.0.0.1:1", "kind": kind, "cache_salt": "tenant"})
        return list(salt_findings({0: entry}))

    assert told("vllm") == told("sglang") == told("auto") == []
    assert told("llama_cpp")[0].path == ("backends", 0, "cache_salt")


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("all", CacheRule("all")),
        ("off", CacheRule("off")),
        ({}, CacheRule("exact")),
        ({"scope": "shared", "replay": "paced 50/s"}, CacheRule("exact", True, 50.0)),
        ({"replay": "paced 0.5/s"}, CacheRule("exact", False, 0.5)),
        ({"replay": "instant"}, CacheRule("exact")),
    ],
)
def test_the_rule_of_a_class(written: Any, rule: CacheRule) -> None:
    assert read(ClassSettings, {"name": "a", "cache": written}).cache.rule() == rule


@pytest.mark.parametrize("replay", ["paced", "paced 0/s", "paced -1/s", "50/s", "slow", 5])
def test_a_pace_that_is_none(replay: Any) -> None:
    with pytest.raises(ValidationError):
        read(ClassSettings, {"name": "a", "cache": {"replay": replay}})


@pytest.mark.parametrize(
    "remote", ["redis://127.0.0.1:6379/0", "rediss://cache.example.com", "unix:///run/redis.sock", "redis://[::1]:1"]
)
def test_addresses_of_a_second_level(remote: str) -> None:
    assert read(CacheOptions, {"remote": remote}).remote == remote


@pytest.mark.parametrize("remote", ["redis://:secret@host/0", "http://host", "host:6379", "redis://h?db=1", ""])
def test_what_is_none_and_where_no_password_belongs(remote: str) -> None:
    with pytest.raises(ValidationError):
        read(CacheOptions, {"remote": remote})
