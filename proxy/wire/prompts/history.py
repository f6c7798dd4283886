"""A conversation cut to a budget: oldest turns first, never a tool's call without its result.

    system │ user … answer │ user … answer │ user, call, result, call, result
     kept  └── turn, oldest goes first ──┘ └ the last turn: its oldest steps go, the question and the last step stay

Owns what a turn and a step are, and where the cut is: it moves in quarters of the budget, so that between two moves the
front of the prompt stays the same and engines find it in their caches. Tokens are estimated. Pure.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

from proxy.wire.prompts.spans import items, without_items
from proxy.wire.splice import value_spans

_BYTES_PER_TOKEN: Final = 4
_MOVES: Final = 4
"""Parts of the budget in which the cut moves."""
_SYSTEM: Final = frozenset({"system", "developer"})
_OUTPUTS: Final = frozenset(
    {"function_call_output", "computer_call_output", "local_shell_call_output", "custom_tool_call_output"}
)


class Cut(NamedTuple):
    """What became of a conversation."""

    gone: int
    """Messages."""
    kept: int


def shortened(body: bytes, fields: dict[str, Any], key: str, budget: int) -> tuple[bytes, Cut | None]:
    """The body with no more than about `budget` tokens in the array `key`, beside the system's messages at its front
    and what cannot go; None: nothing had to. `fields` are changed alike."""
    spans = value_spans(body, key)
    if not spans or not isinstance(fields.get(key), list) or spans[-1][1] - spans[-1][0] <= budget * _BYTES_PER_TOKEN:
        return body, None
    start, end = spans[-1]
    array = body[start:end]
    places = list(items(array))
    messages = fields[key]
    if len(messages) != len(places):  # of a large body the parsed copy has gaps
        messages = orjson.loads(array)
    gone = _gone(messages, [(last - first) / _BYTES_PER_TOKEN for first, last in places], budget)
    if not gone:
        return body, None
    fields[key] = [message for index, message in enumerate(messages) if index not in gone]
    array = without_items(array, [place for index, place in enumerate(places) if index in gone])
    return b"".join((body[:start], array, body[end:])), Cut(len(gone), len(places) - len(gone))


def _gone(messages: Sequence[Any], sizes: Sequence[float], budget: int) -> set[int]:
    first = next((index for index, message in enumerate(messages) if _role(message) not in _SYSTEM), len(messages))
    over = sum(sizes[first:]) - budget
    if over <= 0:
        return set()
    step = max(1.0, budget / _MOVES)
    goal = -(-over // step) * step
    turns = _turns(messages, first)
    gone: set[int] = set()
    freed = _drop(turns[:-1], sizes, goal, gone)
    if freed < over and turns:
        freed += _drop(_steps(messages, turns[-1])[:-1], sizes, goal - freed, gone)
    return gone | _orphans(messages, gone)


def _drop(parts: Sequence[range], sizes: Sequence[float], goal: float, gone: set[int]) -> float:
    """The first of these until so many tokens are free; how many are."""
    freed = 0.0
    for part in parts:
        if freed >= goal:
            break
        gone.update(part)
        freed += sum(sizes[part.start : part.stop])
    return freed


def _turns(messages: Sequence[Any], first: int) -> list[range]:
    """Each begins with what the user says."""
    starts = [i for i in range(first, len(messages)) if i == first or _is_question(messages[i])]
    return _ranges(starts, len(messages))


def _steps(messages: Sequence[Any], turn: range) -> list[range]:
    """Of a turn without its question: what the model says or calls, up to the last of the results."""
    first = turn.start + 1 if _is_question(messages[turn.start]) else turn.start
    starts = [
        i
        for i in range(first, turn.stop)
        if i == first or (_is_output(messages[i - 1]) and not _is_output(messages[i]))
    ]
    return _ranges(starts, turn.stop)


def _ranges(starts: list[int], stop: int) -> list[range]:
    return [range(start, end) for start, end in zip(starts, [*starts[1:], stop], strict=False)]


def _orphans(messages: Sequence[Any], gone: set[int]) -> set[int]:
    """Results whose calls are gone."""
    calls = {call for index in gone for call in _calls(messages[index])}
    return {index for index, message in enumerate(messages) if index not in gone and calls & set(_results(message))}


def _role(message: Any) -> str:
    role = message.get("role") if isinstance(message, dict) else None
    return role if isinstance(role, str) else ""


def _is_question(message: Any) -> bool:
    return _role(message) == "user" and not _is_output(message)


def _is_output(message: Any) -> bool:
    if not isinstance(message, dict):
        return False
    return (
        _role(message) in ("tool", "function")
        or message.get("type") in _OUTPUTS
        or bool(_parts(message, "tool_result"))
    )


def _parts(message: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    content = message.get("content")
    if not isinstance(content, list):
        return []
    return [part for part in content if isinstance(part, dict) and part.get("type") == kind]


def _calls(message: Any) -> list[str]:
    """Ids of the calls in a message."""
    if not isinstance(message, dict):
        return []
    calls = message.get("tool_calls")
    found = [call.get("id") for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []
    found += [part.get("id") for part in _parts(message, "tool_use")]
    if message.get("type") not in _OUTPUTS:
        found.append(message.get("call_id"))
    return [one for one in found if isinstance(one, str)]


def _results(message: Any) -> list[str]:
    """Ids of the calls whose results a message brings."""
    if not isinstance(message, dict):
        return []
    found = [part.get("tool_use_id") for part in _parts(message, "tool_result")]
    if _role(message) == "tool":
        found.append(message.get("tool_call_id"))
    if message.get("type") in _OUTPUTS:
        found.append(message.get("call_id"))
    return [one for one in found if isinstance(one, str)]
