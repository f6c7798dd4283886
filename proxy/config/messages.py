"""Pydantic's errors in plain words. Owns the wording; echoes no value of the file."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proxy.config.refusal import REFUSED, did_you_mean

Details = Mapping[str, Any]

MISSING = object()
"""Stands for the value of an option that is not in the file."""

SILENT = frozenset({"default_factory_not_called"})
"""Errors that only follow from another one."""

_PLAIN_WORDS: dict[str, str | Callable[[Details], str]] = {
    "missing": "is required and missing",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a group of keys and values",
    "model_type": "must be a group of options",
    "greater_than": lambda ctx: f"must be above {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"must be at least {ctx['ge']:g}",
    "less_than": lambda ctx: f"must be below {ctx['lt']:g}",
    "less_than_equal": lambda ctx: f"must be at most {ctx['le']:g}",
    "too_short": lambda ctx: f"needs at least {ctx['min_length']} {_entries(ctx['min_length'])}",
    "too_long": lambda ctx: f"takes at most {ctx['max_length']} {_entries(ctx['max_length'])}",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": lambda ctx: _of_pattern(str(ctx.get("pattern", ""))),
    "string_too_long": lambda ctx: f"must not be longer than {ctx['max_length']} characters",
    "literal_error": lambda ctx: _one_of(choices_of(ctx)),
}

_HINTS = {
    "string_type": "put it in quotes",
    "tuple_type": "write one entry per line, each after '- '",
    "list_type": "write one entry per line, each after '- '",
    "model_type": "write key: value lines below it, indented; or leave it out",
    "dict_type": "write key: value lines below it, indented; or leave it out",
}

_EXAMPLES = {
    "version": "1",
    "backends": "and below it - url: http://127.0.0.1:8001",
    "url": "http://127.0.0.1:8001",
    "name": "and a name of its own",
    "tenant": "and a name, such as team-a",
    "digest": "and what `tidegate key new` prints",
    "endpoint": "embeddings, or what else it is for",
}
"""What stands at options that must be written, when they do not."""


def message_of(error: Details) -> str:
    """One error of pydantic's in plain words."""
    words = _PLAIN_WORDS.get(error["type"])
    if words is None:
        return re.sub(r"^Value error, ", "", str(error["msg"]))
    return words if isinstance(words, str) else words(error.get("ctx", {}))


def hint_of(error: Details, value: Any) -> str:
    """What to do about it, if there is something to say; `value` is what the file holds there."""
    ctx = error.get("ctx", {})
    if error["type"] == REFUSED:
        return str(ctx.get("hint", ""))
    if error["type"] == "literal_error":
        return _literal_hint(choices_of(ctx), value)
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]+|true|false", value) and "string" not in error["type"]:
        return "leave the quotes out"
    if value is None and error["type"] == "string_type":
        return "give it a value, or leave it out"
    if error["type"] == "tuple_type" and isinstance(value, dict) and any(key.startswith("-") for key in value):
        return "write a space after the dash"
    return _HINTS.get(error["type"], "")


def missing_hint(path: Sequence[str | int]) -> str:
    """How the line looks that is missing."""
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    return f"write {name}: {_EXAMPLES[name]}" if name in _EXAMPLES else f"add a line {name}: and its value"


def _literal_hint(choices: list[str], value: Any) -> str:
    if isinstance(value, str):
        return "leave the quotes out" if value in choices else did_you_mean(value, choices)
    return ""


def choices_of(ctx: Details) -> list[str]:
    """The words that an option takes, as its error names them."""
    expected = str(ctx.get("expected", ""))
    return re.findall(r"'([^']*)'", expected) or [expected]


def _one_of(choices: list[str]) -> str:
    return f"must be one of {', '.join(choices)}" if len(choices) > 1 else f"must be {choices[0]}"


def _of_pattern(pattern: str) -> str:
    """A pattern of plain characters in words."""
    found = re.fullmatch(r"\^(?:\[[^\]]+\])?\[([^\]]+)\](?:\{([0-9]+),([0-9]+)\}|\*)\$", pattern)
    if found is None:
        return "must begin with /" if pattern.startswith("^/") else "is not written as it must be here"
    characters = re.sub(r"(.-.|.)", r"\1 ", found[1]).strip()
    most = f", at most {found[3]} of them" if found[3] else ""
    return f"must be made of the characters {characters}{most}"


def _entries(count: int) -> str:
    return "entry" if count == 1 else "entries"
