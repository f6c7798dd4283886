"""An engine's answer to several requests in one call, taken apart: each caller gets what it would have got alone.

Owns the entries, ids and usage of each. An answer that does not hold exactly one entry per input, each said to be of
another, is no answer to anybody: an engine that lost one may have numbered the others anew.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.wire.batching import Part
from proxy.wire.tokens import uncorrected

_USAGE: Final = "usage"
_PROMPT: Final = ("prompt_tokens", "input_tokens")
_COMPLETION: Final = ("completion_tokens", "output_tokens")
_TOTAL: Final = "total_tokens"
_OF_COMPLETION: Final = ("completion", "output")
"""How the names of details begin that are about what was generated."""


class MismatchError(ValueError):
    """Not one entry for each input."""


class Asked(NamedTuple):
    """One caller: what it added, and its request's id."""

    part: Part
    id: str


def slices(endpoint: Endpoint, body: bytes, asked: Sequence[Asked], sent_id: str) -> list[bytes]:
    """The answer of each caller, in their order; `sent_id`: what the shared call was called. MismatchError."""
    answer = _parsed(body)
    name = ENDPOINTS[endpoint].entries
    found = answer if isinstance(answer, list) else answer.get(name)
    parts = [one.part for one in asked]
    lots = _dealt(found, parts)
    if endpoint is not Endpoint.RERANK:
        lots = [sorted(lot, key=_index) for lot in lots]
    else:  # a ranking keeps its order, and ends where its caller wanted it to
        lots = [lot[: part.best] if part.best else lot for lot, part in zip(lots, parts, strict=True)]
    if isinstance(answer, list):
        return [orjson.dumps(lot) for lot in lots]
    usages = _usages(answer.get(_USAGE), parts, lots)
    said = answer.get("id")
    return [
        orjson.dumps(_own(answer, name, lots[i], usages[i], _own_id(said, sent_id, asked[i].id, i)))
        for i in range(len(asked))
    ]


def tokens_of(part: Part) -> int:
    """Of its inputs, estimated."""
    return sum(_tokens(entry) for entry in part.inputs)


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in whole parts, as the weights are to each other; they are taken as they are where they sum up to it."""
    whole = sum(weights)
    if whole == total:
        return list(weights)
    if not whole:
        weights, whole = [1] * len(weights), len(weights)
    parts = [weight * total // whole for weight in weights]
    left = total - sum(parts)
    for i in sorted(range(len(parts)), key=[-(weight * total % whole) for weight in weights].__getitem__)[:left]:
        parts[i] += 1
    return parts


def _parsed(body: bytes) -> Any:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise MismatchError("not JSON") from None
    if not isinstance(answer, dict | list):
        raise MismatchError("no answer")
    return answer


# --- entries


def _dealt(found: Any, parts: Sequence[Part]) -> list[list[Any]]:
    """The entries of each caller, numbered as if it were alone."""
    wanted = sum(len(part.inputs) * part.choices for part in parts)
    if not isinstance(found, list) or len(found) != wanted or not all(isinstance(entry, dict) for entry in found):
        raise MismatchError("not one entry for each input")
    is_numbered = all(type(entry.get("index")) is int for entry in found)
    if is_numbered and sorted(entry["index"] for entry in found) != list(range(wanted)):
        raise MismatchError("not each entry once")
    if not is_numbered and any("index" in entry for entry in found):
        raise MismatchError("entries of no input")
    if not is_numbered:
        return _in_turn(found, parts)
    starts = _starts(parts)
    owners = [i for i, part in enumerate(parts) for _ in range(len(part.inputs) * part.choices)]
    lots: list[list[Any]] = [[] for _ in parts]
    for entry in found:
        owner = owners[entry["index"]]
        lots[owner].append({**entry, "index": entry["index"] - starts[owner]})
    return lots


def _in_turn(found: list[Any], parts: Sequence[Part]) -> list[list[Any]]:
    """Of entries without numbers: in the order of the inputs."""
    starts = _starts(parts)
    return [found[start : start + len(part.inputs) * part.choices] for start, part in zip(starts, parts, strict=True)]


def _starts(parts: Sequence[Part]) -> list[int]:
    starts, at = [], 0
    for part in parts:
        starts.append(at)
        at += len(part.inputs) * part.choices
    return starts


def _index(entry: dict[str, Any]) -> int:
    index: int = entry.get("index", 0)
    return index


def _own(answer: Mapping[str, Any], name: str, lot: list[Any], usage: Any, own_id: Any) -> dict[str, Any]:
    """The whole answer with what is one caller's, in the engine's order of fields."""
    mine = {name: lot, _USAGE: usage, "id": own_id}
    return {field: mine.get(field, value) for field, value in answer.items()}


def _own_id(said: Any, sent_id: str, own_id: str, place: int) -> Any:
    """Made of the request's id where the engine made its own of that; else unlike those of the others."""
    if not isinstance(said, str) or not said:
        return said
    if sent_id and sent_id in said:
        return said.replace(sent_id, own_id)
    return said if place == 0 else f"{said}-{place}"


# --- usage


def _usages(usage: Any, parts: Sequence[Part], lots: Sequence[list[Any]]) -> list[Any]:
    """Of each caller: its own tokens as far as they can be told apart, and as many as the engine counted together."""
    if not isinstance(usage, dict):
        return [usage] * len(parts)
    prompts = [tokens_of(part) for part in parts]
    written = [sum(map(_written, lot)) for lot in lots]
    prompts = _first_shares(usage, _PROMPT, prompts)
    written = _first_shares(usage, _COMPLETION, written)
    own: list[dict[str, Any]] = [{} for _ in parts]
    for name, value in usage.items():
        weights = written if name.startswith(_OF_COMPLETION) else prompts
        for mine, share in zip(own, _split(value, weights), strict=True):
            mine[name] = share
    if _TOTAL in usage and usage[_TOTAL] == sum(prompts) + sum(written):
        for i, mine in enumerate(own):
            mine[_TOTAL] = prompts[i] + written[i]
    return own


def _first_shares(usage: Mapping[str, Any], names: Sequence[str], weights: list[int]) -> list[int]:
    """The counts of whichever of these is told; nothing where none is."""
    for name in names:
        if _is_number(usage.get(name)):
            return shares(usage[name], weights)
    return [0] * len(weights) if names is _COMPLETION else weights


def _split(value: Any, weights: list[int]) -> list[Any]:
    if _is_number(value):
        return list(shares(value, weights))
    if not isinstance(value, dict):
        return [value] * len(weights)
    own: list[dict[str, Any]] = [{} for _ in weights]
    for name, inner in value.items():
        for mine, share in zip(own, _split(inner, weights), strict=True):
            mine[name] = share
    return list(own)


def _is_number(value: Any) -> bool:
    return type(value) is int and value >= 0


def _tokens(entry: Any) -> int:
    if isinstance(entry, str):
        return max(1, round(uncorrected(entry)))
    if isinstance(entry, tuple):
        return sum(_tokens(text) for text in entry)
    if isinstance(entry, dict):
        return _tokens(entry["text"])
    return len(entry)


def _written(entry: Mapping[str, Any]) -> int:
    ids, text = entry.get("token_ids"), entry.get("text")
    if isinstance(ids, list) and ids:
        return len(ids)
    return max(1, round(uncorrected(text))) if isinstance(text, str) and text else 0
