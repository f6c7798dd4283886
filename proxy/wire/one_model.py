"""Whether an engine could read another model in a body than is read here: asked only of who may not use every model.

Owns these doubts. Ollama's JSON takes `Model` for `model`, llama.cpp reads JSON whatever it is said to be; who may use
any model gains nothing by that, and is not asked. Forms are looked at for everybody: `multipart`.
"""

from collections.abc import Mapping
from typing import Any, Final

from proxy.model.faults import FaultError
from proxy.wire.body import invalid

_NAME: Final = "model"


def check(fields: Mapping[str, Any], body: bytes) -> None:
    """FaultError (400) where that cannot be told. `fields`: of a JSON body, empty for others."""
    if any(key.lower() == _NAME and key != _NAME for key in fields):
        raise _unclear("the field `model` is written in capitals")
    if not fields and body.lstrip()[:1] == b"{" and body.strip() != b"{}":
        raise _unclear("JSON is not sent as application/json")


def _unclear(why: str) -> FaultError:
    text = f"This API key may not use every model, and which one is meant is not clear: {why}."
    return invalid(text, _NAME)
