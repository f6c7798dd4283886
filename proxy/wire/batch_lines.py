"""Lines of a batch's input file: one request each, or what is wrong with it.

Owns what a line must say. What OpenAI refuses at validation is refused there; what only an engine can know (a model
that does not exist, a prompt that is too long) is the result of the line.
"""

from typing import Any, Final, NamedTuple

import orjson

from proxy.model.batch import Complaint
from proxy.wire import splice
from proxy.wire.prompt import head_key

ENDPOINTS: Final = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/moderations",
)
"""That a batch may have."""
LONGEST_ID: Final = 512
_SHOWN: Final = 64


class Asked(NamedTuple):
    """One request, as far as its batch has to know it."""

    custom_id: str
    model: str
    head: bytes
    """Lines that begin alike have equal beginnings of it."""


def read(raw: bytes, number: int, endpoint: str, model: str) -> Asked | Complaint:
    """The request in a line of a batch for `endpoint`, whose lines before are for `model` (empty: there are none)."""
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return Complaint("invalid_json_line", "This line is not parseable as valid JSON.", number)
    if not isinstance(fields, dict):
        return Complaint("invalid_json_line", "This line is no JSON object.", number)
    for check in (_custom_id, _method):
        wrong = check(fields, number)
        if wrong is not None:
            return wrong
    if fields.get("url") != endpoint:
        said = _shown(fields.get("url"))
        text = f"The URL of this line, {said}, is not the endpoint of the batch, {endpoint}."
        return Complaint("invalid_url", text, number, "url")
    body = fields.get("body")
    if not isinstance(body, dict):
        return Complaint("missing_required_parameter", "`body` must be a JSON object.", number, "body")
    return _of_body(fields["custom_id"], body, number, model)


def _of_body(custom_id: str, body: dict[str, Any], number: int, model: str) -> Asked | Complaint:
    named = body.get("model")
    if not isinstance(named, str) or not named:
        return Complaint("missing_required_parameter", "`body.model` must name a model.", number, "body.model")
    if model and named != model:
        text = f"The model of this line, {_shown(named)}, is not that of the lines before, {_shown(model)}."
        return Complaint("mismatched_model", text, number, "body.model")
    if body.get("stream"):
        return Complaint("stream_unsupported", "Lines of a batch cannot be streams.", number, "body.stream")
    return Asked(custom_id, named, head_key(body))


def _custom_id(fields: dict[str, Any], number: int) -> Complaint | None:
    value = fields.get("custom_id")
    if not isinstance(value, str) or not value:
        return Complaint("missing_required_parameter", "`custom_id` must be a text.", number, "custom_id")
    if len(value) > LONGEST_ID:
        text = f"`custom_id` is longer than {LONGEST_ID} characters."
        return Complaint("invalid_custom_id", text, number, "custom_id")
    return None


def _method(fields: dict[str, Any], number: int) -> Complaint | None:
    if fields.get("method", "POST") != "POST":
        return Complaint("invalid_method", "`method` must be POST.", number, "method")
    return None


def body_of(raw: bytes) -> bytes:
    """The request's own bytes in a line that was read before, as they came."""
    start, end = splice.value_spans(raw, "body")[-1]  # of several, JSON parsers take the last
    return raw[start:end]


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else "none"
    return "".join(character if character.isprintable() else " " for character in text[:_SHOWN])
