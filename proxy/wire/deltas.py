"""Where the output is in a stream event, and how one event is written as several or several as one.

Owns the shapes of delta events: chat and text completion chunks, the Responses API, Anthropic messages. Fields it does
not know stay: those of the event and of the choice on every piece, those inside a delta on the first only, because
clients add deltas up. Decides nothing: how many pieces and where is the caller's.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

Fields = dict[str, Any]

_TEXT_FIELDS: Final[tuple[str, ...]] = ("reasoning_content", "reasoning", "content", "refusal")
_RESPONSES_TEXT: Final = frozenset(
    f"response.{what}.delta"
    for what in (
        "output_text",
        "refusal",
        "reasoning",
        "reasoning_text",
        "reasoning_summary",
        "reasoning_summary_text",
        "function_call_arguments",
        "custom_tool_call_input",
        "mcp_call_arguments",
        "code_interpreter_call_code",
    )
)
_MESSAGES_TEXT: Final = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
_FIRST_ONLY: Final[tuple[str, ...]] = ("prompt_token_ids", "prompt_text", "prompt_logprobs")
_LAST_ONLY: Final[tuple[str, ...]] = ("finish_reason", "stop_reason", "usage")
"""null on earlier pieces, as OpenAI writes them."""
_LAST_ONLY_ABSENT: Final[tuple[str, ...]] = ("matched_stop", "timings")
_BIG_INTEGER: Final = re.compile(rb"[0-9]{19}")


class Segment(NamedTuple):
    """One run of text inside a delta."""

    names: tuple[str, ...]
    """The field that holds it (several when an engine writes the same text under two names)."""
    entry: int
    """Position in `tool_calls`; -1: no tool call."""
    text: str


class Part:
    """The output of one choice, or of a whole event without choices, as the event brought it."""

    __slots__ = ("choice", "index", "segments", "token_ids", "tokens")

    def __init__(self, choice: Fields, index: Any, segments: list[Segment]) -> None:
        self.choice = choice
        self.index = index
        """Which of several texts of the stream this one continues."""
        self.segments = segments
        self.tokens = _logprob_entries(choice.get("logprobs"))
        """What the engine says of each token, None when it does not."""
        ids = choice.get("token_ids")
        self.token_ids: int | None = len(ids) if isinstance(ids, list) and ids else None


class TextSlice(NamedTuple):
    """One piece of a part: some text of one segment and the tokens it is made of."""

    segment: int
    text: str
    start: int
    end: int


class Lenient(Fields):
    """Read by the parser that takes what JSON does not have but engines send, so it must be written that way too."""


def load_exactly(data: bytes, fields: Fields) -> Fields:
    """`fields`, which were read from `data`, with integers beyond 64 bits unharmed: for writing it anew."""
    return (load_leniently(data) or fields) if _BIG_INTEGER.search(data) else fields


def dump(value: Any) -> bytes:
    """JSON of what was read. RecursionError when it is nested too deep to be written."""
    if type(value) is not Lenient:
        try:
            return orjson.dumps(value)
        except TypeError:  # lone surrogates in text alone, nested deeper than orjson writes
            pass
    return json.dumps(value, separators=(",", ":")).encode()


def load_leniently(data: bytes) -> Fields | None:
    """The JSON object in `data`, lone surrogates and NaN included; None when it is none."""
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return Lenient(fields) if isinstance(fields, dict) else None


def parts(fields: Fields) -> list[Part]:
    """The output in an event; empty when it has none or a shape that is not known well enough to touch."""
    choices = fields.get("choices")
    if isinstance(choices, list):
        found = []
        for choice in choices:
            part = _part_of_choice(choice)
            if part is None:
                return []
            found.append(part)
        return found
    kind = fields.get("type")
    delta = fields.get("delta")
    if isinstance(delta, str) and isinstance(kind, str) and kind in _RESPONSES_TEXT:
        where = tuple(fields.get(name) for name in ("type", "item_id", "output_index", "content_index"))
        return [Part(fields, _hashable(where), [Segment(("delta",), -1, delta)])]
    if kind == "content_block_delta" and isinstance(delta, dict):
        name = _MESSAGES_TEXT.get(_hashable(delta.get("type")))
        if name is not None and isinstance(delta.get(name), str):
            return [Part(fields, _hashable(fields.get("index")), [Segment((name,), -1, delta[name])])]
    return []


def _hashable(value: Any) -> Any:
    return value if isinstance(value, str | int) else repr(value)


def _part_of_choice(choice: Any) -> Part | None:
    if not isinstance(choice, dict):
        return None
    index = _hashable(choice.get("index"))
    delta = choice.get("delta")
    if delta is None:
        text = choice.get("text")
        return Part(choice, index, [Segment(("text",), -1, text)]) if isinstance(text, str) else None
    segments = _segments(delta) if isinstance(delta, dict) else None
    return None if segments is None else Part(choice, index, segments)


def _segments(delta: Fields) -> list[Segment] | None:
    """The runs of text of a chat delta in the order they are written out; None: not a known shape."""
    segments: list[Segment] = []
    for name in _TEXT_FIELDS:
        text = delta.get(name)
        if not text:
            continue
        if not isinstance(text, str):
            return None
        if name == "reasoning" and segments and segments[0].text == text:
            segments[0] = Segment((*segments[0].names, name), -1, text)
        else:
            segments.append(Segment((name,), -1, text))
    if "tool_calls" in delta or "function_call" in delta:
        for segment in _call_segments(delta):
            if segment is None:
                return None
            segments.append(segment)
    return segments


def _call_segments(delta: Fields) -> Iterator[Segment | None]:
    calls = delta.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        yield None
    for entry, call in enumerate(calls or () if isinstance(calls, list) else ()):
        function = call.get("function") if isinstance(call, dict) else None
        arguments = function.get("arguments") if isinstance(function, dict) else None
        if arguments is None and isinstance(call, dict):
            arguments = ""
        yield Segment(("tool_calls",), entry, arguments) if isinstance(arguments, str) else None
    legacy = delta.get("function_call")
    if isinstance(legacy, dict):
        arguments = legacy.get("arguments", "")
        yield Segment(("function_call",), -1, arguments) if isinstance(arguments, str) else None


def _logprob_entries(logprobs: Any) -> list[bytes] | None:
    """The bytes of each token, from chat logprobs (`content` or `refusal`) or completion logprobs (`tokens`)."""
    if not isinstance(logprobs, dict):
        return logprobs_of_response(logprobs)
    for name in ("content", "refusal", "tokens"):
        entries = logprobs.get(name)
        if isinstance(entries, list) and entries:
            return [_token_bytes(entry) for entry in entries]
    return None


def logprobs_of_response(logprobs: Any) -> list[bytes] | None:
    """The Responses API writes the list itself."""
    return [_token_bytes(entry) for entry in logprobs] if isinstance(logprobs, list) and logprobs else None


def _token_bytes(entry: Any) -> bytes:
    if isinstance(entry, dict):
        data = entry.get("bytes")
        if isinstance(data, list) and all(type(value) is int and 0 <= value < 256 for value in data):
            return bytes(data)
        entry = entry.get("token")
    return entry.encode("utf-8", "surrogatepass") if isinstance(entry, str) else b""


def keeps_nothing_for_first_or_last(fields: Fields) -> bool:
    """Whether all fields of an event or choice but `usage` may stand on every piece of it."""
    return not any(fields.get(name) for name in (*_FIRST_ONLY, "finish_reason", "stop_reason", *_LAST_ONLY_ABSENT))


def split(fields: Fields, plans: list[tuple[Part, list[TextSlice]]]) -> Iterator[Fields]:
    """The event as one event per slice, in order. An empty plan leaves its part whole."""
    written = [(part, slices, at) for part, slices in plans for at in range(max(1, len(slices)))]
    for number, (part, slices, at) in enumerate(written):
        event = type(fields)(fields)
        target = part.choice
        if target is not fields:
            target = dict(target)
            event["choices"] = [target]
        else:
            target = event
        if slices:
            _write(target, part, slices, at)
        _keep_once(event, first=number == 0, last=number == len(written) - 1)
        yield event


def _write(target: Fields, part: Part, slices: list[TextSlice], at: int) -> None:
    """Turn a copy of a part into its `at`-th slice."""
    piece, last = slices[at], at == len(slices) - 1
    opens = at == 0 or slices[at - 1].segment != piece.segment
    segment = part.segments[piece.segment]
    delta = target.get("delta")
    if isinstance(delta, dict):
        target["delta"] = _delta(delta, segment, piece.text, is_first=at == 0, opens=opens)
    else:
        target[segment.names[0]] = piece.text
    _keep_once(target, first=at == 0, last=last)
    if part.token_ids is not None:
        target["token_ids"] = _sliced(target["token_ids"], piece, slices[-1].end, last=last)
    if part.tokens is not None:
        target["logprobs"] = _sliced_logprobs(target["logprobs"], piece, slices[-1].end, last=last)


def _sliced_logprobs(logprobs: Any, piece: TextSlice, total: int, *, last: bool) -> Any:
    if isinstance(logprobs, list):
        return _sliced(logprobs, piece, total, last=last)
    return {
        name: _sliced(value, piece, total, last=last) if isinstance(value, list) else value
        for name, value in logprobs.items()
    }


def _sliced(values: list[Any], piece: TextSlice, total: int, *, last: bool) -> list[Any]:
    """The values of a piece's tokens; a list that does not match the tokens goes out whole with the last piece."""
    if len(values) == total:
        return values[piece.start : piece.end]
    return values if last else []


def _delta(delta: Fields, segment: Segment, text: str, *, is_first: bool, opens: bool) -> Fields:
    name = segment.names[0]
    if name not in _TEXT_FIELDS and name not in ("tool_calls", "function_call"):  # Anthropic: the type says the shape
        return {**delta, name: text}
    if is_first:
        written = {key: value for key, value in delta.items() if not holds_text(key, value)}
    else:
        written = {key: value for key, value in delta.items() if key == "content" and not value}
    if segment.entry >= 0:
        written["tool_calls"] = [_call(delta["tool_calls"][segment.entry], text, opens=opens)]
    elif name == "function_call":
        written[name] = {**(delta[name] if opens else {}), "arguments": text}
    else:
        written.update(dict.fromkeys(segment.names, text))
    return written


def holds_text(name: str, value: Any) -> bool:
    return name in ("tool_calls", "function_call") or (name in _TEXT_FIELDS and bool(value))


def _call(call: Fields, text: str, *, opens: bool) -> Fields:
    function = call.get("function")
    if opens:
        arguments = {"arguments": text} if text or (isinstance(function, dict) and "arguments" in function) else {}
        return {**call, "function": {**function, **arguments}} if isinstance(function, dict) else call
    index = {"index": call["index"]} if "index" in call else {}
    return {**index, "function": {"arguments": text}}


def _keep_once(fields: Fields, *, first: bool, last: bool) -> None:
    if not first:
        for name in _FIRST_ONLY:
            if name in fields:
                fields[name] = None
    if not last:
        for name in _LAST_ONLY:
            if name in fields:
                fields[name] = None
        for name in _LAST_ONLY_ABSENT:
            fields.pop(name, None)
