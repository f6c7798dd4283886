"""Reading a request body as vLLM does: which field may be what, and the error where it is not.

Owns types and bounds of single fields. The standard `json` parser is used on purpose: it takes integers beyond 64 bits
and lone surrogates, as the engine does.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from proxy.sim.http import refusal


def parse_object(raw: bytes, content_type: str) -> dict[str, Any]:
    """The body as an object. Raises Refusal."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise refusal.wrong_media_type()
    if not raw:
        raise refusal.missing("body", None)
    try:
        body = json.loads(raw)
    except json.JSONDecodeError as error:
        where = f"body.{error.pos}"
        raise refusal.invalid("json_invalid", where, "JSON decode error", {}, {"error": error.msg}) from None
    except (UnicodeDecodeError, RecursionError):
        raise refusal.invalid("json_invalid", "body.0", "JSON decode error", {}, {"error": "Invalid"}) from None
    if not isinstance(body, dict):
        problem = "Input should be a valid dictionary or object to extract fields from"
        raise refusal.invalid("model_attributes_type", "body", problem, body)
    return body


class Fields:
    """Typed access to a body; every accessor raises Refusal for a value of the wrong type."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self.body = body

    def integer(self, name: str, default: int | None = None) -> int | None:
        """An integer, or a float or string that is one, as pydantic takes it."""
        value = self.body.get(name)
        if value is None:
            return default
        whole = _as_integer(value)
        if whole is None:
            raise refusal.invalid("int_type", f"body.{name}", "Input should be a valid integer", value)
        return whole

    def number(self, name: str, default: float) -> float:
        """A float."""
        value = self.body.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refusal.invalid("float_type", f"body.{name}", "Input should be a valid number", value)
        return float(value)

    def flag(self, name: str) -> bool:
        """A boolean, false when absent."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, bool):
            raise refusal.invalid("bool_type", f"body.{name}", "Input should be a valid boolean", value)
        return bool(value)

    def mapping(self, name: str) -> Mapping[str, Any]:
        """An object, empty when absent."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, dict):
            raise refusal.invalid("model_attributes_type", f"body.{name}", "Input should be a valid dictionary", value)
        return value or {}

    def sequence(self, name: str) -> Sequence[Any]:
        """A list, empty when absent."""
        value = self.body.get(name)
        if value is not None and not isinstance(value, list):
            raise refusal.invalid("list_type", f"body.{name}", "Input should be a valid list", value)
        return value or []

    def required(self, name: str) -> Any:
        """A field that must be there."""
        if self.body.get(name) is None:
            raise refusal.missing(f"body.{name}", self.body)
        return self.body[name]

    def stops(self) -> tuple[str, ...]:
        """`stop`: one string or several."""
        value = self.body.get("stop")
        if value is None:
            return ()
        stops = [value] if isinstance(value, str) else value
        if not isinstance(stops, list) or not all(isinstance(stop, str) for stop in stops):
            raise refusal.invalid("string_type", "body.stop", "Input should be a valid string", value)
        return tuple(stops)

    def model(self, known: tuple[str, ...]) -> str:
        """The model asked for; the first one served when none is named."""
        name = self.body.get("model")
        if name is None or name == "":
            return known[0]
        if name not in known:
            raise refusal.unknown_model(name, known)
        return str(name)


def token_lists(value: Any, where: str) -> list[str | list[int]]:
    """`prompt` or `input`: a string, token ids, or a list of either; as a list. Raises Refusal."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(_is_token(item) for item in value):
            return [value]
        if all(isinstance(item, str) or _is_token_list(item) for item in value):
            return value
    if value == []:
        raise refusal.bad_parameter(f"Either {where} or prompt_embeds must be provided and non-empty.", where)
    raise refusal.invalid("string_type", f"body.{where}", "Input should be a valid string", value)


def _as_integer(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _is_token(item: Any) -> bool:
    return isinstance(item, int) and not isinstance(item, bool)


def _is_token_list(item: Any) -> bool:
    return isinstance(item, list) and bool(item) and all(_is_token(part) for part in item)
