"""What to do about an error: chosen between what is known of such errors and what the value in the file suggests.

Owns that choice, and that a hint which says what to write is right in that place.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from annotated_types import Ge, Gt, Le, Lt

from proxy.config.messages import choices_of, hint_of, message_of
from proxy.config.options import (
    OptionPath,
    field_at,
    fields_of,
    group_at,
    holds_no_text,
    is_list,
    is_secret,
    option_holding,
)
from proxy.config.parts import Parts, broken_with, errors_with, valid_parts
from proxy.config.refusal import REFUSED
from proxy.config.schema import Config
from proxy.config.secrets import SecretSource
from proxy.config.slips import in_scalar
from proxy.config.source import looks_secret
from proxy.config.suggestions import Fits, holds, suggestion
from proxy.config.tree import Node

_MAX_NODES = 500
"""Larger parts are not guessed about: each guess costs a validation of the part."""
_REWRITES = ("did you mean", "leave the quotes", "put it in")
"""How hints begin that say how to write the same value otherwise."""
_ABOUT_NULL = re.compile(r"null: ([^.]{1,60})")


class Hints:
    """Of one file."""

    def __init__(self, root: Node, secrets: SecretSource) -> None:
        self._root = root
        self._secrets = secrets

    @cached_property
    def _parts(self) -> Parts:
        return valid_parts(self._root, self._secrets)

    def of(self, error: Mapping[str, Any], path: OptionPath, value: Any) -> str:
        """For pydantic's error about the plain value at `path`."""
        known = hint_of(error, value)
        if not self._may_guess(path) or (known and isinstance(value, dict) and error["type"] == REFUSED):
            return known
        rewrites = known.startswith(_REWRITES)
        if rewrites and holds(known, value, self._fits(path)):
            return known
        guess = self._guess(error, path, value)
        if guess and message_of(error) == guess.replace("write", "must be", 1):
            return ""  # said already
        return guess or ("" if rewrites else known) or _bounds(error, path)

    def message(self, error: Mapping[str, Any], path: OptionPath, value: Any) -> str:
        """What is wrong, in plain words."""
        if error["type"] == "dict_type" and isinstance(value, str) and re.fullmatch(r"[^\s:]+:[^\s:]+", value):
            return "a space is missing after the colon"
        return in_scalar(value, _keys(path)) or message_of(error)

    def of_surprise(self, path: OptionPath, text: str, known: str) -> str:
        """For an unquoted value that YAML tools read differently; `known`: the hint where no option is known."""
        if is_secret(option_holding(Config, path)):
            return ""  # nothing is said that could be a part of it
        if not self._may_guess(path):
            return known
        errors = errors_with(self._root, path, text, self._secrets)
        error = next((e for e in errors if _is_about(e["loc"], path)), None)
        return self._guess(error or {"type": ""}, path, text) or (message_of(error) if error else "")

    def _may_guess(self, path: OptionPath) -> bool:
        field = option_holding(Config, path)
        if not path or (
            any(isinstance(part, str) and looks_secret(part) for part in path) and not holds_no_text(field)
        ):
            return False
        part = self._root.value.get(path[0])
        known = field is not None or group_at(Config, path) is not None
        return known and not is_secret(field) and part is not None and part.node.size <= _MAX_NODES

    def _guess(self, error: Mapping[str, Any], path: OptionPath, value: Any) -> str:
        choices = choices_of(error.get("ctx", {})) if error["type"] == "literal_error" else ()
        field = field_at(Config, path)
        default = None if field is None or field.is_required() else field.default
        guess = suggestion(value, self._fits(path), choices, _keys(path), default)
        if isinstance(path[-1], int) and (pair := re.fullmatch(r"write \{(\w+: [^,{}]+)\}", guess)):
            return f"write {pair[1]}"  # an entry of a list needs no braces
        about = _ABOUT_NULL.search((field and field.description) or "")
        return f"{guess} ({about[1].replace('`', '')})" if guess == "write null" and about else guess

    def _fits(self, path: OptionPath) -> Fits:
        def fits(value: Any) -> bool:
            errors = errors_with(self._root, path, value, self._secrets)
            if any(_is_about(error["loc"], path) for error in errors):
                return False
            return not broken_with(self._root, path, value, self._secrets, self._parts)

        return fits


def _keys(path: OptionPath) -> tuple[str, ...]:
    """The options below `path`, when one group stands there."""
    group, field = group_at(Config, path), field_at(Config, path)
    listed = field is not None and is_list(field.annotation)
    return tuple(fields_of(group)) if group and not listed else ()


def _bounds(error: Mapping[str, Any], path: OptionPath) -> str:
    """Which numbers may stand there, where one should."""
    field = field_at(Config, path) if error["type"] in ("int_type", "float_type", "int_from_float") else None
    if field is None:
        return ""
    bounds = {type(one): one for one in field.metadata}
    least, most = bounds.get(Ge) or bounds.get(Gt), bounds.get(Le) or bounds.get(Lt)
    told = "" if least is None else f"from {_number(least):g}" + ("" if most is None else f" to {_number(most):g}")
    default = None if field.is_required() else field.default
    usual = f"such as {default:g}" if isinstance(default, int | float) and not isinstance(default, bool) else ""
    return ", ".join(part for part in (told, usual) if part)


def _number(bound: Any) -> float:
    return float(next(getattr(bound, name) for name in ("ge", "gt", "le", "lt") if hasattr(bound, name)))


def _is_about(loc: tuple[str | int, ...], path: OptionPath) -> bool:
    """Whether an error inside the part that holds `path` is at `path`; names of union members are left aside."""
    rest = iter(loc)
    inside = path[2:] if path[0] == "backends" and len(path) > 2 else path[1:]
    return all(part in rest for part in inside)
