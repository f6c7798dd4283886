"""Groups of options, made of the plain settings in `model`: what they are, their defaults and bounds are said there.

    @dataclass HoldSettings ──options_of──> a pydantic model ──validates──> HoldSettings(max_wait=30.0)

Owns the way in both directions. In an option that is declared here, `Annotated[HoldSettings, PLAIN]` means the group.
"""

import ast
import inspect
import sys
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import pydantic
from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, TypeAdapter, create_model
from pydantic_core import CoreSchema, core_schema

from proxy.config.written import WRITTEN
from proxy.model.bounds import Bounds, Form, Short

_Kind = TypeVar("_Kind")


class Settings(BaseModel):
    """A frozen group of options; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class _Plain:
    """Validates a plain dataclass as its options, and writes it so."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        options = options_of(source)

        def made(valid: BaseModel) -> Any:
            return source(**{name: getattr(valid, name) for name in options.model_fields})

        def shown(plain: Any, info: core_schema.SerializationInfo) -> Any:
            return _as_options(plain).model_dump(mode=info.mode, by_alias=info.by_alias)

        schema = handler.generate_schema(options)
        shown_by = core_schema.plain_serializer_function_ser_schema(shown, info_arg=True)
        return core_schema.no_info_after_validator_function(made, schema, serialization=shown_by)


PLAIN: Final = _Plain()


@cache
def options_of(kind: type) -> type[Settings]:
    """The options of one kind of plain settings."""
    hints, docs = get_type_hints(kind, include_extras=True), _docs_of(kind)
    options: dict[str, Any] = {
        field.name: (_read(hints[field.name]), _field(field, docs.get(field.name))) for field in fields(kind)
    }
    made: type[Settings] = create_model(
        kind.__name__, __base__=Settings, __doc__=kind.__doc__, __module__=kind.__module__, **options
    )
    return made


def read(kind: type[_Kind], written: Mapping[str, Any]) -> _Kind:
    """Plain settings from options as they are written. Raises pydantic's ValidationError."""
    options: Any = kind
    return cast(_Kind, _adapter(options).validate_python(written))


def as_written(plain: Any) -> dict[str, Any]:
    """The options of plain settings as they would be written."""
    return _as_options(plain).model_dump(mode="json")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(_group(kind))


def _as_options(plain: Any) -> Settings:
    kind: Any = type(plain)
    options = options_of(kind)
    return options.model_construct(**{name: getattr(plain, name) for name in options.model_fields})


def _field(field: "Field[Any]", about: str | None) -> Any:
    """A name that ends in `_`, since Python has the word, is written without it."""
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return pydantic.Field(
        default=... if default is MISSING else default,
        description=about,
        alias=field.name.rstrip("_") if field.name.endswith("_") else None,
    )


def _read(hint: Any) -> Any:
    """The type as pydantic reads it, the marks of `model.bounds` undone."""
    if is_dataclass(hint):
        return _group(hint)
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        forms = [WRITTEN[mark] for mark in inside[1:] if isinstance(mark, Form)]
        rest = [_mark(mark, inside[0]) for mark in inside[1:] if not isinstance(mark, Form)]
        return Annotated[(forms[0] if forms else _read(inside[0]), *rest)] if rest else forms[0]
    if origin in (Union, UnionType):
        return Union[tuple(map(_read, inside))]  # noqa: UP007 (of types that are known only now)
    return origin[tuple(map(_read, inside))] if origin in (tuple, dict) else hint


def _group(kind: Any) -> Any:
    return Annotated[kind, PLAIN]


def _mark(mark: Any, kind: Any) -> Any:
    if isinstance(mark, Short):
        return short(kind, mark.option)
    if not isinstance(mark, Bounds):
        return mark
    bounds = {field.name: getattr(mark, field.name) for field in fields(mark)}
    return pydantic.Field(**{name: bound for name, bound in bounds.items() if bound is not None})


def short(kind: Any, option: str) -> BeforeValidator:
    """For a group, or none, that may be written as one of its options."""

    def whole(value: Any) -> Any:
        if isinstance(value, dict):  # what is behind here is strict, and has no lists
            return {name: tuple(one) if isinstance(one, list) else one for name, one in value.items()}
        return {option: value} if isinstance(value, str | bool) else value

    group = next(one for one in (kind, *get_args(kind)) if is_dataclass(one))
    written = _read(get_type_hints(group, include_extras=True)[option])
    return BeforeValidator(whole, json_schema_input_type=Union[written, _read(kind)])  # noqa: UP007


def _docs_of(kind: type) -> dict[str, str]:
    """The docstrings of its attributes, those of its bases included."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        if is_dataclass(one):
            found |= _docs_in(one.__module__).get(one.__name__, {})
    return found


@cache
def _docs_in(module: str) -> dict[str, dict[str, str]]:
    source = Path(str(sys.modules[module].__file__)).with_suffix(".py").read_text(encoding="utf-8")
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    return {node.name: dict(_attributes(node)) for node in classes}


def _attributes(node: ast.ClassDef) -> list[tuple[str, str]]:
    return [
        (one.target.id, inspect.cleandoc(after.value.value))
        for one, after in pairwise(node.body)
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
    ]
