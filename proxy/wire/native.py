"""What engines' own APIs say in an answer, or in one event of a stream: output, its end, token counts.

    Ollama      {"message": {content, thinking, tool_calls} | "response", "done", "prompt_eval_count", "eval_count"}
    llama.cpp   {"index", "content", "stop", "tokens_evaluated", "tokens_predicted", "timings"}
    TGI         {"token": {text}, "generated_text", "details": {"generated_tokens", "input_length", "finish_reason"}}
    SGLang      {"text", "meta_info": {"prompt_tokens", "completion_tokens", "cached_tokens", "finish_reason"}}

Owns these shapes, and the limits that requests of these APIs set. Reads, and never changes. What is not as it should be
reads as unknown.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from proxy.model.endpoint import Api

_COUNT_MAX: Final = 2**53
_TEXTS: Final = ("response", "content", "text", "thinking")
_OF_MESSAGE: Final = ("content", "thinking", "tool_calls")
_MOST: Final = 4096
"""Texts of one stream that are told apart; those beyond are one."""


class Counts(NamedTuple):
    """Tokens; None: not told."""

    prompt: int | None = None
    output: int | None = None
    cached: int | None = None


NOTHING: Final = Counts()


def holds_output(fields: Mapping[str, Any]) -> bool:
    """Whether an event carries a piece of the answer: text, thought or a call of a tool."""
    message = fields.get("message")
    if isinstance(message, dict):
        return any(message.get(name) for name in _OF_MESSAGE)
    token = fields.get("token")
    if isinstance(token, dict):
        return True
    return any(isinstance(fields.get(name), str) and fields[name] != "" for name in _TEXTS)


def ends(fields: Mapping[str, Any]) -> bool:
    """Whether a text is complete with this event."""
    if fields.get("done") is True or fields.get("stop") is True or isinstance(fields.get("generated_text"), str):
        return True
    meta = fields.get("meta_info")
    return isinstance(meta, dict) and bool(meta.get("finish_reason"))


def counts(fields: Mapping[str, Any]) -> Counts:
    """Of a whole answer, or of a stream as far as one event tells it."""
    if "eval_count" in fields or "prompt_eval_count" in fields:
        return Counts(_count(fields.get("prompt_eval_count")), _count(fields.get("eval_count")))
    if "tokens_predicted" in fields:
        timings = fields.get("timings")
        cached = _count(timings.get("cache_n")) if isinstance(timings, dict) else None
        return Counts(_count(fields.get("tokens_evaluated")), _count(fields["tokens_predicted"]), cached)
    meta = fields.get("meta_info")
    if isinstance(meta, dict):
        told = (meta.get(name) for name in ("prompt_tokens", "completion_tokens", "cached_tokens"))
        return Counts(*map(_count, told))
    details = fields.get("details")
    if isinstance(details, dict):
        prefill = details.get("prefill")
        prompt = _count(details.get("input_length")) or (len(prefill) if isinstance(prefill, list) else 0)
        return Counts(prompt or None, _count(details.get("generated_tokens")))
    return NOTHING


def total(answers: Sequence[Any]) -> Counts:
    """Of an answer that is an array of them."""
    found = NOTHING
    for answer in answers:
        if isinstance(answer, dict):
            found = _both(found, counts(answer))
    return found


class Texts:
    """Of one stream: which of its texts have ended, and what was counted. Fed with every event, as it was sent."""

    __slots__ = ("_counts", "_ended", "_seen", "_several")

    def __init__(self, api: Api) -> None:
        self._several = api is Api.LLAMA
        """Its `index` tells texts apart; elsewhere there is one, and an index says which token of it."""
        self._seen: set[int] = set()
        self._ended: set[int] = set()
        self._counts: dict[int, Counts] = {}

    def saw(self, fields: Mapping[str, Any]) -> None:
        """An event passed."""
        index = fields.get("index") if self._several else 0
        key = min(index, _MOST) if type(index) is int and index >= 0 else 0
        self._seen.add(key)
        if ends(fields):
            self._ended.add(key)
        told = counts(fields)
        if told.output is not None or told.prompt is not None:
            self._counts[key] = told

    @property
    def have_ended(self) -> bool:
        """Whether there are any and all are complete."""
        return bool(self._seen) and self._seen == self._ended

    @property
    def counts(self) -> Counts:
        """Of all of them."""
        found = NOTHING
        for told in self._counts.values():
            found = _both(found, told)
        return found


def limit(fields: Mapping[str, Any], places: Sequence[tuple[str, ...]]) -> int | None:
    """Tokens of the longest answer that a request allows; None: it sets no limit. `places`: where it may, outermost
    name first."""
    for place in places:
        value: Any = fields
        for name in place:
            value = value.get(name) if isinstance(value, dict) else None
        if type(value) is int and value >= 0:  # below: as many as fit
            return value
    return None


def _both(one: Counts, other: Counts) -> Counts:
    return Counts(*map(_sum, one, other))


def _sum(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else one + other


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < _COUNT_MAX else None
