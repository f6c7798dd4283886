"""Walks the schema: which options there are, where, and what is said of them.

Owns the reading of pydantic's fields, so that messages, reference and tests share one view of the schema.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from proxy.config.plain import options_of
from proxy.config.refusal import quoted

OptionPath = tuple[str | int, ...]
"""Keys and places in lists, from the top of the file."""

Group = type[BaseModel]

X_DEFAULT = "x-default"
"""Says in words, in a field's extra schema, what a computed default is."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of the schema."""

    path: tuple[str, ...]
    """Keys from the top; `[]` stands for any place in a list, `<name>` for any key of a mapping."""
    field: FieldInfo
    group: Group | None
    """The options below it, when it is a group or a list of groups."""
    owner: Group
    """The group it belongs to."""

    @property
    def inside(self) -> tuple[str, ...]:
        """The path in front of the options below it."""
        if is_map(self.field.annotation):
            return (*self.path, "<name>")
        return (*self.path, "[]") if is_list(self.field.annotation) else self.path

    @property
    def default(self) -> Any:
        """As it would be written in the file; None for `null` and where there is none."""
        if self.field.default_factory is not None or self.field.is_required():
            return None
        adapter = TypeAdapter[Any](self.field.rebuild_annotation())
        return adapter.dump_python(self.field.get_default(), mode="json")


def all_options(group: Group, path: tuple[str, ...] = ()) -> Iterator[Option]:
    """Every option below `group`, parents before children, in the order of the schema."""
    for name, field in fields_of(group).items():
        below = group_of(field.annotation)
        here = (*path, name)
        option = Option(here, field, below, group)
        yield option
        if below:
            yield from all_options(below, option.inside)


def fields_of(group: Group) -> dict[str, FieldInfo]:
    """Options by the key that stands in the file."""
    return {field.alias or name: field for name, field in group.model_fields.items()}


def holds_no_text(field: FieldInfo | None) -> bool:
    """Whether only numbers, true, false or given words may stand there: nothing that could be a secret."""
    if field is None:
        return False
    kinds = {get_origin(one) or one for one in _members(field.annotation)}
    return kinds <= {bool, int, float, Literal, type(None)}


def _members(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for one in get_args(annotation):
            yield from _members(one)
    else:
        yield annotation


def group_of(annotation: Any) -> Group | None:
    """The group of options inside an annotation such as `Limits`, `tuple[Backend, ...]` or `Limits | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if isinstance(annotation, type) and is_dataclass(annotation):
        return options_of(annotation)
    return next((group for inner in get_args(annotation) if (group := group_of(inner))), None)


def is_list(annotation: Any) -> bool:
    """Whether the annotation is a list of groups rather than one group."""
    if get_origin(annotation) is Annotated:
        return is_list(get_args(annotation)[0])
    return get_origin(annotation) is tuple


def is_map(annotation: Any) -> bool:
    """Whether the annotation is groups by names that the operator chooses."""
    if get_origin(annotation) is Annotated:
        return is_map(get_args(annotation)[0])
    return get_origin(annotation) is dict and group_of(annotation) is not None


def field_at(top: Group, path: OptionPath) -> FieldInfo | None:
    """The field at `path`; None where the schema knows none."""
    *parents, last = path or (0,)
    group = group_at(top, tuple(parents))
    return fields_of(group).get(last) if group and isinstance(last, str) else None


def option_holding(top: Group, path: OptionPath) -> FieldInfo | None:
    """The option that a value at `path` is, or is a part of (an entry of its list or mapping)."""
    for depth in range(len(path), 0, -1):
        if field := field_at(top, path[:depth]):
            return field if depth == len(path) or not group_of(field.annotation) else None
    return None


def group_at(top: Group, path: OptionPath) -> Group | None:
    """The group of options at `path`; None where there is none."""
    group: Group | None = top
    is_named = False
    for part in path:
        if is_named:
            is_named = False
        elif isinstance(part, str):
            field = fields_of(group).get(part) if group else None
            group = group_of(field.annotation) if field else None
            is_named = field is not None and is_map(field.annotation)
    return group


def is_secret(field: FieldInfo | None) -> bool:
    """Whether a field holds a secret, or a mapping of them, so that references are expanded in it."""
    return field is not None and _holds_secrets(field.annotation)


def _holds_secrets(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_holds_secrets, get_args(annotation)))


_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", re.ASCII)


def shown(path: OptionPath) -> str:
    """`("backends", 1, "url")` → `backends[1].url`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{quoted(part)}]"
    return text
