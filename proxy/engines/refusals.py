"""What an error answer says of the engine that gave it: that it cannot do this, where another one may be able to.

Owns where an error says it, and for which statuses it is believed; the words stand in each engine's file.
"""

import json
import re
from typing import Any, Final

from proxy.engines.base import Dialect
from proxy.engines.registry import DIALECTS
from proxy.model.abilities import Cannot, Lack
from proxy.model.endpoint import ENDPOINTS, Endpoint

_MAX_B: Final = 64 << 10
"""Longest error that is read."""
_MAX_CHARS: Final = 512
"""Of a message that are compared."""
_MAX_LIMIT: Final = 1 << 32
_KEY: Final = re.compile(
    r"(?:incorrect|invalid|missing) api[ _-]?key"
    r"|api[ _-]?key (?:not valid|not found|expired|invalid|is (?:in|not )valid)"
    r"|(?:please pass|provide) a valid api key|no auth credentials"
    r"|your (?:credit balance|account balance|balance) is too low|insufficient (?:account )?(?:balance|credits?)",
    re.IGNORECASE,
)
"""Gemini and Anthropic say so with a 400."""
_PLAIN: Final = re.compile(
    rb"sent an HTTP request to an HTTPS server|plain HTTP request was sent to HTTPS port|speaking plain HTTP to an SSL",
    re.IGNORECASE,
)
_SAID_B: Final = 4096
_NO_ROUTE: Final = frozenset({"", "not found", "file not found", "404 page not found", "method not allowed"})
"""Messages of a 404 or 405 that speak of the route: a model or a stored response that is not there reads otherwise."""
_UNKNOWN_URL: Final = "unknown_url"
_NO_API: Final = "no API"
"""A page or a sentence, as web servers and ingresses write it where no engine is: no JSON, so no engine's."""
_SAID: Final = frozenset({400, 404, 405, 413, 422, 500, 501})
_TOO_LONG: Final = frozenset({"exceed_context_size_error", "context_length_exceeded"})


def _begins(lack: Lack) -> re.Pattern[str]:
    patterns = (pattern for dialect in DIALECTS.values() for pattern in dialect.refusals.get(lack, ()))
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


_ASKED: Final = (Lack.CONTEXT, Lack.TOOLS, Lack.IMAGES, Lack.AUDIO, Lack.PROMPTS, Lack.ENDPOINT)
_TABLE: Final = {lack: _begins(lack) for lack in _ASKED}
"""Asked in this order, of all engines: one that was not recognised speaks as one of them, too."""


def cannot(status: int, body: bytes, endpoint: Endpoint, dialect: Dialect) -> Cannot | None:
    """What an answer with this status and body (its beginning may do) says that the engine cannot do. None: nothing of
    that kind: the client is wrong, or the engine is ill or busy."""
    if ENDPOINTS[endpoint].mixed:
        return None
    if status not in _SAID or (status == 500 and not dialect.answers_500_to_bad_requests):
        return None
    error = _error(body[:_MAX_B])
    said = _said(error)
    if status in (404, 405):
        is_route = said.lower() in _NO_ROUTE or error.get("code") in (_UNKNOWN_URL, _NO_API)
        return Cannot(Lack.ENDPOINT) if is_route else None
    if error.get("type") in _TOO_LONG or error.get("code") in _TOO_LONG:
        return Cannot(Lack.CONTEXT, _limit(error.get("n_ctx")) or _limit_said(said))
    for lack, pattern in _TABLE.items():
        if pattern.match(said) is not None:
            return Cannot(lack, _limit_said(said) if lack is Lack.CONTEXT else None)
    return Cannot(Lack.ENDPOINT) if status == 501 else None


def refuses_key(status: int, body: bytes) -> bool:
    """Whether a 400 means that the key is wrong or its account is empty."""
    if status != 400:
        return False
    error = _error(body[:_MAX_B])
    return error.get("code") == "invalid_api_key" or _KEY.match(_said(error)) is not None


def wants_tls(status: int, body: bytes) -> bool:
    """Whether whoever answers speaks TLS at this port, and was asked without: Go's, nginx's and Apache's words."""
    return status == 400 and _PLAIN.search(body[:_SAID_B]) is not None


def _error(body: bytes) -> dict[str, Any]:
    """The error object: nested as OpenAI has it, flat, FastAPI's, or a text."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {"message": body[:_MAX_CHARS].decode("utf-8", "replace"), "code": _NO_API}
    if isinstance(fields, list) and len(fields) == 1:  # Gemini
        fields = fields[0]
    if not isinstance(fields, dict):
        return {}
    inner = fields.get("error", fields.get("detail"))
    if isinstance(inner, dict):
        return inner
    return {"message": inner} if isinstance(inner, str) else fields


def _said(error: dict[str, Any]) -> str:
    message = error.get("message")
    return message[:_MAX_CHARS].strip() if isinstance(message, str) else ""


def said_in(body: bytes) -> str:
    """The message of an error, its beginning."""
    return _said(_error(body[:_MAX_B]))


def _limit_said(said: str) -> int | None:
    match = _TABLE[Lack.CONTEXT].match(said)
    found = next((group for group in match.groups() if group is not None), None) if match else None
    return _limit(int(found)) if found is not None and len(found) <= 10 else None


def _limit(value: Any) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and 0 < value < _MAX_LIMIT else None
