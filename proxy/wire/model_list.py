"""Models as Anthropic's clients read them, who say `anthropic-version` on every route.

    {"id", "object": "model", "created"}  ─▶  {"type": "model", "id", "display_name", "created_at"}
    {"object": "list", "data": […]}       ─▶  {"data": […], "has_more": false, "first_id", "last_id"}

Owns that shape. All are told in one page, whatever `limit` says. Source: Anthropic's API reference (models).
"""

from datetime import UTC, datetime
from typing import Any, Final

import orjson

_LATEST_S: Final = 253_402_300_799
"""The last second of the year 9999."""


def as_anthropic(told: bytes) -> bytes:
    """One model, or a list of them, as OpenAI has it, told as Anthropic does."""
    fields = orjson.loads(told)
    if fields.get("object") != "list":
        return orjson.dumps(_model(fields))
    data = [_model(entry) for entry in fields["data"]]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return orjson.dumps({"data": data, "has_more": False, "first_id": first, "last_id": last})


def _model(entry: dict[str, Any]) -> dict[str, Any]:
    created = entry.get("created")
    seconds = created if type(created) is int and 0 <= created <= _LATEST_S else 0
    told = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"type": "model", "id": entry["id"], "display_name": entry["id"], "created_at": told}
