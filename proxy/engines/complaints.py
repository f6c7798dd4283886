"""What an engine's error is in OpenAI's terms, where it says it in its own: a context that is too short, a model that
is not there, a 500 for the client's mistake.

Owns which status and code clients get for it; the words stand in each engine's file. Errors that are right already stay
as they are.
"""

import json
import re
from typing import Any, Final, NamedTuple

from proxy.engines.base import Dialect
from proxy.engines.refusals import cannot, said_in
from proxy.engines.registry import DIALECTS
from proxy.model.abilities import Lack
from proxy.model.endpoint import Endpoint

CONTEXT: Final = "context_length_exceeded"
NO_MODEL: Final = "model_not_found"


class Complaint(NamedTuple):
    """How OpenAI would have said it."""

    status: int
    code: str | None
    """None: as the engine has it."""


def _begins(patterns: list[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


_NO_MODEL: Final = _begins([pattern for dialect in DIALECTS.values() for pattern in dialect.no_model])
_MISTAKES: Final = _begins([pattern for dialect in DIALECTS.values() for pattern in dialect.mistakes])


def complaint(status: int, body: bytes, endpoint: Endpoint, dialect: Dialect) -> Complaint | None:
    """None: nothing is to be put right."""
    if status not in (400, 404, 413, 422, 500):
        return None
    lack = cannot(status, body, endpoint, dialect)
    if lack is not None and lack.lack is Lack.CONTEXT:
        return None if _says(status, body, 400, CONTEXT) else Complaint(400, CONTEXT)
    said = said_in(body)
    if status in (400, 404, 422) and _NO_MODEL.match(said) is not None:
        return None if _says(status, body, 404, NO_MODEL) else Complaint(404, NO_MODEL)
    if status == 500 and _MISTAKES.match(said) is not None:
        return Complaint(400, None)
    return None


def _says(status: int, body: bytes, wanted: int, code: str) -> bool:
    try:
        fields: Any = json.loads(body)
    except (ValueError, RecursionError):
        return False
    error = fields.get("error") if isinstance(fields, dict) else None
    return status == wanted and isinstance(error, dict) and error.get("code") == code
