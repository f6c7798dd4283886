"""Fields that are not the operator's to change, and those said twice."""

from typing import Any

import pytest

from proxy.config.backend import BackendOptions
from proxy.config.parameters import parameter_findings
from proxy.config.plain import read
from proxy.model.fallback import ModelSettings


def findings(backend: dict[str, Any], model: dict[str, Any]) -> list[str]:
    options = BackendOptions.model_validate({"url": "http://a:1", "parameters": backend})
    entry = read(ModelSettings, {"name": "m", "parameters": model})
    found = parameter_findings({3: options}, [entry])
    return [f"{'.'.join(str(part) for part in one.path)}: {one.message}" for one in found]


def test_other_fields_are_free() -> None:
    assert findings({"set": {"top_k": 1}, "default": {"a": 2}, "drop": ["b"]}, {"set": {"top_k": 2}}) == []


@pytest.mark.parametrize("name", ["model", "messages", "stream", "input"])
def test_what_a_request_is_routed_by_stays(name: str) -> None:
    said = f'"{name}" is what a request is routed and answered by, and is not changed'
    assert findings({"drop": ["seed", name]}, {"set": {name: 1}}) == [
        f"backends.3.parameters.drop.1: {said}",
        f"routing.models.0.parameters.set.{name}: {said}",
    ]


def test_what_is_said_twice_is_said_once() -> None:
    assert findings({"set": {"a": 1}, "default": {"a": 2}, "drop": ["a"]}, {}) == [
        'backends.3.parameters.default.a: "a" is in `set` too',
        'backends.3.parameters.drop.0: "a" is in `set` too',
    ]
