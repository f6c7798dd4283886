"""Which weights the models of an engine are of, as far as it tells: anything that is the same for the same weights.

Owns what of a model list says so. What an engine tells elsewhere stands in its own file (`revision_route`).
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

_OF_MODEL: Final = ("root", "parent", "max_model_len", "revision", "digest", "hash", "sha")
_OF_META: Final = ("n_params", "size", "n_vocab", "n_embd", "ftype")
_MAX_CHARS: Final = 512


def of_entries(entries: list[dict[str, Any]]) -> dict[str, str]:
    """Model → its revision; those of which a list says nothing have none. `entries`: each has a name as `id`."""
    return {entry["id"]: said for entry in entries if (said := _said(entry))}


def _said(entry: Mapping[str, Any]) -> str:
    meta = entry.get("meta")
    told = _told(entry, _OF_MODEL) | (_told(meta, _OF_META) if isinstance(meta, dict) else {})
    return orjson.dumps(told, option=orjson.OPT_SORT_KEYS).decode()[:_MAX_CHARS] if told else ""


def _told(fields: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: fields[name] for name in names if isinstance(fields.get(name), str | int) and fields[name] != ""}
