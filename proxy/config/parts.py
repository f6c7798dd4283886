"""The parts of a configuration that are valid by themselves, although the whole may not be.

Owns the validation of a single part, so that everything that is wrong is found at once and every hint can be tried.
"""

import json
from collections.abc import Collection
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from proxy.config.backend import BackendOptions
from proxy.config.checks import cross_check
from proxy.config.diagnostics import Severity
from proxy.config.options import OptionPath
from proxy.config.schema import MAX_BACKENDS, Config
from proxy.config.secrets import SecretSource
from proxy.config.tree import Node

Parts = tuple[dict[str, Any], dict[int, BackendOptions]]
"""Top-level options by name, and backends by their place."""


def parts_of(config: Config) -> Parts:
    """All of a valid configuration."""
    return {name: getattr(config, name) for name in Config.model_fields}, dict(enumerate(config.backends))


def valid_parts(root: Node, secrets: SecretSource) -> Parts:
    """What is valid by itself in a file that is not: top-level options (or their defaults) and backends."""
    entries = root.value
    groups = {name: field.get_default() for name, field in Config.model_fields.items() if not field.is_required()}
    for name in groups.keys() & entries.keys():
        groups[name] = _valid(Config.model_fields[name].rebuild_annotation(), entries[name].node.plain(), secrets)
    backends = _backends(root)
    found = {index: _valid(BackendOptions, plain, secrets) for index, plain in enumerate(backends)}
    if None in found.values() or not found:  # what the broken ones serve is not known
        groups["routing"] = None
    rest = {index: backend or _valid_rest(backends[index], secrets) for index, backend in found.items()}
    return (
        {name: value for name, value in groups.items() if value is not None},
        {index: backend for index, backend in rest.items() if backend is not None},
    )


def without(parts: Parts, broken: Collection[OptionPath]) -> Parts:
    """What is left to compare with when some sections, or single backends, were not understood."""
    groups, backends = parts
    left = {name: value for name, value in groups.items() if (name,) not in broken}
    if ("backends",) in broken:  # what they serve is not known
        left.pop("routing", None)
    return left, {index: backend for index, backend in backends.items() if ("backends", index) not in broken}


def errors_with(root: Node, path: OptionPath, value: Any, secrets: SecretSource) -> list[ErrorDetails]:
    """What would be wrong with the part that holds `path`, were `value` there."""
    name, below = str(path[0]), path[1:]
    if name not in Config.model_fields:
        return []
    node = root.value[name].node
    if name == "backends" and len(below) > 1:
        return errors_of(BackendOptions, _changed(node.value[below[0]].plain(), below[1:], value), secrets)
    return errors_of(Config.model_fields[name].rebuild_annotation(), _changed(node.plain(), below, value), secrets)


def broken_with(root: Node, path: OptionPath, value: Any, secrets: SecretSource, parts: Parts) -> bool:
    """Whether `value` at `path`, valid by itself, does not go with `parts`, the rest of the file."""
    groups, backends = parts
    name = str(path[0])
    node = root.value[name].node
    if name == "backends":
        if len(path) < 3:
            return False
        changed = _valid_rest(_changed(node.value[path[1]].plain(), path[2:], value), secrets)
        backends = backends if changed is None else {**backends, int(path[1]): changed}
    else:
        annotation = Config.model_fields[name].rebuild_annotation()
        groups = {**groups, name: _valid(annotation, _changed(node.plain(), path[1:], value), secrets)}
    found = cross_check({n: g for n, g in groups.items() if g is not None}, backends)
    return any(f.path[: len(path)] == path and f.severity is Severity.ERROR for f in found)


def errors_of(annotation: Any, plain: Any, secrets: SecretSource) -> list[ErrorDetails]:
    """Everything that is wrong with one plain value."""
    try:
        _adapter(annotation).validate_json(json.dumps(plain), strict=True, context=secrets)
    except ValidationError as invalid:
        return invalid.errors(include_url=False, include_input=False)
    return []


def _changed(plain: Any, path: OptionPath, value: Any) -> Any:
    """`plain` with `value` at `path`."""
    if not path:
        return value
    if isinstance(plain, list):
        return [_changed(item, path[1:], value) if index == path[0] else item for index, item in enumerate(plain)]
    return {**plain, path[0]: _changed(plain.get(path[0]), path[1:], value)}


def _backends(root: Node) -> list[Any]:
    listed = root.value["backends"].node.plain() if "backends" in root.value else []
    return listed[:MAX_BACKENDS] if isinstance(listed, list) else []


def _valid_rest(plain: Any, secrets: SecretSource) -> BackendOptions | None:
    """A backend without the options of it that are wrong, if any are; None where those cannot be left out."""
    if not isinstance(plain, dict):
        return None
    wrong = {error["loc"][0] for error in errors_of(BackendOptions, plain, secrets) if error["loc"]}
    rest = _valid(BackendOptions, {key: value for key, value in plain.items() if key not in wrong}, secrets)
    return rest if isinstance(rest, BackendOptions) else None


def _valid(annotation: Any, plain: Any, secrets: SecretSource) -> Any:
    """The value, or None when it is not valid; what is wrong with it has been reported."""
    try:
        return _adapter(annotation).validate_json(json.dumps(plain), strict=True, context=secrets)
    except ValidationError:
        return None


@cache
def _adapter(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)
