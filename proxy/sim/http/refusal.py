"""The errors of a simulated backend, shaped as vLLM 0.33 shapes them.

Owns the wording and the JSON; raised anywhere below a handler, turned into an answer by the server.
"""

from typing import Any


class Refusal(Exception):  # noqa: N818 — what is said to the client, not a failure of ours
    """An answer with an error status."""

    def __init__(self, status: int, kind: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: Any = {"error": {"message": message, "type": kind, "param": param, "code": status}}


class PlainRefusal(Refusal):
    """An error that vLLM does not wrap in its usual object."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status, "", "")
        self.body = body


def not_found() -> Refusal:
    """No such route."""
    return PlainRefusal(404, {"detail": "Not Found"})


def method_not_allowed() -> Refusal:
    """No such method on this route."""
    return PlainRefusal(405, {"detail": "Method Not Allowed"})


def unauthorized() -> Refusal:
    """Wrong or missing API key."""
    return PlainRefusal(401, {"error": "Unauthorized"})


def wrong_media_type() -> Refusal:
    """Anything but JSON."""
    message = "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed"
    return Refusal(400, "Bad Request", message)


def invalid(kind: str, where: str, problem: str, found: object, context: object = None) -> Refusal:
    """What pydantic says of a body of the wrong shape."""
    shown = f"<{type(found).__name__} of {len(found)} items>" if isinstance(found, dict | list) else repr(found)[:80]
    if isinstance(found, dict | list):
        shown = repr(shown)
    more = f", 'ctx': {context}" if context else ""
    message = (
        f"1 validation error:\n  {{'type': '{kind}', 'loc': '{where}', 'msg': '{problem}', 'input': {shown}{more}}}"
    )
    return Refusal(400, "Bad Request", message, where)


def missing(where: str, found: object) -> Refusal:
    """A required field is not there."""
    return invalid("missing", where, "Field required", found)


def bad_parameter(message: str, param: str, value: object = None) -> Refusal:
    """A field of the right type with a value that cannot be served."""
    shown = f"parameter={param}" if value is None else f"parameter={param}, value={value}"
    return Refusal(400, "BadRequestError", f"{message} ({shown})", param)


def unknown_model(name: object, known: tuple[str, ...]) -> Refusal:
    """The model is not served here."""
    message = f"The model `{name}` does not exist. Valid aliases: {', '.join(known)}."
    return Refusal(404, "NotFoundError", message, "model")


def context_too_long(limit: int) -> Refusal:
    """The prompt alone exceeds the context; vLLM stops counting one token above."""
    return bad_parameter(
        f"This model's maximum context length is {limit} tokens. However, your prompt contains at least {limit + 1} "
        "input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input "
        "prompt.",
        "input_tokens",
        limit + 1,
    )


def busy() -> Refusal:
    """More requests than `max_queued`; no Retry-After, as vLLM."""
    first, then = "The engine is currently busy and cannot accept new requests", "Please try again later"
    message = f"{first}. {then} or on a different instance."
    return Refusal(503, "Service Unavailable", message)


def server_error(status: int = 500) -> Refusal:
    """What a failed engine answers."""
    kind = "InternalServerError" if status == 500 else "ServiceUnavailableError" if status == 503 else "Error"
    return Refusal(status, kind, "The server had an error while processing your request.")


def too_many_inputs(inputs: int, cap: int) -> Refusal:
    """More than one call may hold; as Text Embeddings Inference says it."""
    text = f"batch size {inputs} > maximum allowed batch size {cap}"
    return PlainRefusal(413, {"error": text, "error_type": "Validation"})
