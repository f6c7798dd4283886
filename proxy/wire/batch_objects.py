"""Files, batches, lists of them and result lines, as OpenAI's API writes them."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from proxy.model.batch import Batch, BatchState, Complaint, StoredFile

_MARKED: Final = (
    BatchState.IN_PROGRESS,
    BatchState.FINALIZING,
    BatchState.COMPLETED,
    BatchState.FAILED,
    BatchState.EXPIRED,
    BatchState.CANCELLING,
    BatchState.CANCELLED,
)
EXPIRED: Final = ("batch_expired", "This request could not be executed before the completion window expired.")


def of_file(one: StoredFile) -> dict[str, Any]:
    """A file object."""
    shown: dict[str, Any] = {
        "id": one.id,
        "object": "file",
        "bytes": one.size_b,
        "created_at": one.created,
        "filename": one.name,
        "purpose": one.purpose,
        "status": "processed",
        "status_details": None,
    }
    if one.expires is not None:
        shown["expires_at"] = one.expires
    return shown


def of_batch(one: Batch) -> dict[str, Any]:
    """A batch object."""
    marks = {f"{state.value}_at": one.marks.get(state.value) for state in _MARKED}
    usage = {
        "input_tokens": one.prompt_tokens,
        "input_tokens_details": {"cached_tokens": one.cached_tokens},
        "output_tokens": one.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": one.prompt_tokens + one.completion_tokens,
    }
    return {
        "id": one.id,
        "object": "batch",
        "endpoint": one.endpoint,
        "model": one.model or None,
        "errors": {"object": "list", "data": [_of_complaint(error) for error in one.errors]} if one.errors else None,
        "input_file_id": one.input_file,
        "completion_window": one.window,
        "status": one.state.value,
        "output_file_id": one.output_file or None,
        "error_file_id": one.error_file or None,
        "created_at": one.created,
        "expires_at": one.expires,
        **marks,
        "request_counts": {"total": one.total, "completed": one.done, "failed": one.failed},
        "usage": usage,
        "metadata": one.metadata,
    }


def of_list(data: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """A page of a list."""
    return {
        "object": "list",
        "data": list(data),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": has_more,
    }


def answered(name: str, custom_id: str, status: int, request_id: str, body: bytes) -> bytes:
    """A line of the output or error file for what came as an answer; its body byte for byte, if it is JSON in one
    line."""
    head = orjson.dumps({"id": name, "custom_id": custom_id, "response": {"status_code": status}})
    asked = orjson.dumps(request_id)
    return b'%b,"request_id":%b,"body":%b},"error":null}' % (head[:-2], asked, _one_line(body))


def unanswered(name: str, custom_id: str, code: str, message: str) -> bytes:
    """A line of the error file for a request that no answer came to."""
    error = {"code": code, "message": message}
    return orjson.dumps({"id": name, "custom_id": custom_id, "response": None, "error": error})


def _one_line(body: bytes) -> bytes:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return orjson.dumps(body.decode("utf-8", "replace"))
    return orjson.dumps(fields) if b"\n" in body or b"\r" in body else body


def _of_complaint(one: Complaint) -> dict[str, Any]:
    return {"code": one.code, "line": one.line, "message": one.message, "param": one.param}
