"""Whether an answer has the form that was asked for: JSON, and what its JSON Schema says.

Owns the check, which may take any time and any memory: a schema can be a riddle, its patterns too. It runs in a process
that is killed (`live/check_worker`), and nowhere else. No reference is ever fetched: only the schemas of the drafts
themselves are known.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

import orjson
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, UnknownType
from jsonschema.protocols import Validator
from jsonschema.validators import validator_for
from jsonschema_specifications import REGISTRY
from referencing.exceptions import Unresolvable

from proxy.model.endpoint import Endpoint
from proxy.model.structured import Finding, Verdict
from proxy.wire import forms

_ERROR_CHARACTERS: Final = 300
_CUT: Final = frozenset({"length", "content_filter", "max_tokens"})
_UNFINISHED: Final = Finding(Verdict.UNFINISHED)


class _UnusableError(Exception):
    """What is no schema."""


def check(spec: bytes, answer: bytes, *, is_stream: bool) -> Finding:
    """`spec`: as `structured.form` makes it; `answer`: a whole answer, or all events of one."""
    try:
        form = _Form(spec)
        worst = Finding(Verdict.VALID)
        for finding in _findings(form, _read(answer, is_stream=is_stream)):
            if worst.verdict is Verdict.VALID or finding.verdict is Verdict.UNFINISHED:
                worst = finding
    except (_UnusableError, SchemaError, Unresolvable, UnknownType, RecursionError, re.error, OverflowError):
        return Finding(Verdict.UNUSABLE)
    return worst


class _Form:
    def __init__(self, spec: bytes) -> None:
        fields = orjson.loads(spec)
        self.wants_json = "any" in fields or "schema" in fields
        self.text = _validator(orjson.dumps(fields["schema"])) if "schema" in fields else None
        self._tools = fields.get("tools", {})

    def of_tool(self, name: Any) -> Validator | None:
        """None: its arguments may be any object."""
        return _validator(orjson.dumps(self._tools[name])) if name in self._tools else None


@lru_cache(maxsize=32)
def _validator(schema: bytes) -> Validator:
    read: Any = orjson.loads(schema)
    if type(read) not in (dict, bool):
        raise _UnusableError
    kind = validator_for(read, default=Draft202012Validator)
    kind.check_schema(read)
    return kind(read, registry=REGISTRY)


def _read(answer: bytes, *, is_stream: bool) -> Any:
    if is_stream:
        return forms.whole(answer.replace(b": ping\n", b""), Endpoint.CHAT) or forms.whole(answer, Endpoint.COMPLETIONS)
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None


def _findings(form: _Form, answer: Any) -> Iterator[Finding]:
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices:
        yield _UNFINISHED
        return
    for choice in choices:
        yield from _of_choice(form, choice) if isinstance(choice, dict) else (_UNFINISHED,)


def _of_choice(form: _Form, choice: dict[str, Any]) -> Iterator[Finding]:
    message = choice.get("message")
    message = message if isinstance(message, dict) else {"content": choice.get("text")}
    if choice.get("finish_reason") in _CUT:
        yield _UNFINISHED
    elif message.get("refusal"):
        yield Finding(Verdict.REFUSAL)
    elif calls := message.get("tool_calls"):
        for call in calls if isinstance(calls, list) else ():
            yield _of_call(form, call)
    elif form.wants_json:
        yield _of_text(message.get("content"), form.text)


def _of_call(form: _Form, call: Any) -> Finding:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        return _UNFINISHED
    return _of_text(function.get("arguments"), form.of_tool(function.get("name")))


def _of_text(text: Any, validator: Validator | None) -> Finding:
    """Without a schema it has to be an object, as the API says."""
    try:
        value = orjson.loads(text) if isinstance(text, str) else None
    except orjson.JSONDecodeError as error:
        return Finding(Verdict.NOT_JSON, str(error)[:_ERROR_CHARACTERS])
    if not isinstance(text, str):
        return Finding(Verdict.NOT_JSON, "it has no text")
    if validator is None:
        is_object = isinstance(value, dict)
        return Finding(Verdict.VALID) if is_object else Finding(Verdict.MISMATCH, "it is no JSON object")
    wrong = next(iter(validator.iter_errors(value)), None)
    if wrong is None:
        return Finding(Verdict.VALID)
    return Finding(Verdict.MISMATCH, f"at {wrong.json_path}: {wrong.message}"[:_ERROR_CHARACTERS])
