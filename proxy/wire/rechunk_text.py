"""Whole words, one event: re-chunking of a stream at text granularity, for clients on bad links.

Owns what is withheld until a word is whole: deltas of the same text are joined, never cut, and go out at a space, at a
letter of a script without spaces, after 32 characters, or when the caller says so. Everything that is not plain text
(roles, finish, usage, other events) pushes what waits out before it. Order within each text never changes.
"""

from typing import Any, Final

from proxy.wire import deltas, graphemes
from proxy.wire.counting import Evidence, TokenCounter
from proxy.wire.deltas import Fields, Part
from proxy.wire.event import Event
from proxy.wire.rechunk import data_span, shifted
from proxy.wire.tokens import Count

_TEXT_ENOUGH: Final = 32
"""Characters that go out whether the word is whole or not."""
_EVENTS_MAX: Final = 64
"""Events joined to one at most."""
_WAITING_MAX: Final = 256
"""Texts of one stream (n, prompts) that may wait at once."""


class _Waiting:
    """One event to be, and what it was made of."""

    __slots__ = ("events", "fields", "key", "prefix", "text")

    def __init__(self, key: Any, prefix: bytes, fields: Fields, event: bytes, text: str) -> None:
        self.key = key
        self.prefix = prefix
        self.fields = fields
        self.events = [event]
        """As they came."""
        self.text = text

    @property
    def is_whole(self) -> bool:
        if len(self.events) >= _EVENTS_MAX:
            return True
        if not self.text or graphemes.ends_inside(self.text):
            return False
        return len(self.text) >= _TEXT_ENOUGH or graphemes.ends_apart(self.text)


class TextRechunker:
    """Empty and partial deltas leave as whole words."""

    __slots__ = ("_counter", "_shift", "_waiting")

    def __init__(self, evidence: Evidence) -> None:
        self._counter = TokenCounter(evidence)
        self._waiting: dict[Any, _Waiting] = {}
        """By the text they continue, oldest first."""
        self._shift = 0

    @property
    def withholds(self) -> bool:
        """Whether something waits for the rest of a word."""
        return bool(self._waiting)

    @property
    def tokens(self) -> int:
        """Output tokens so far: the number of `count`."""
        return self._counter.tokens

    @property
    def count(self) -> Count:
        """Output tokens so far, those that wait included."""
        return self._counter.count

    def feed(self, whole: Event) -> list[bytes]:
        """What goes out now that this event came in."""
        event = whole.raw
        start, end = data_span(event)
        fields = whole.fields if end > start else None
        found = deltas.parts(fields) if fields is not None else []
        if fields is None or not found:
            if fields is not None:
                self._counter.add_total(fields)
            return [*self.flush(), self._numbered(event)]
        for part in found:
            self._counter.add(part, fields, alone=len(found) == 1)
        part = found[0]
        if len(found) > 1 or not _is_plain(part, fields):
            return [*self.flush(), self._numbered(event)]
        return self._join(part, event[:start], deltas.load_exactly(event[start:end], fields), event)

    def flush(self) -> list[bytes]:
        """Everything that waits, oldest first."""
        out = [self._written(waiting) for waiting in self._waiting.values()]
        self._waiting.clear()
        return out

    def _join(self, part: Part, prefix: bytes, fields: Fields, event: bytes) -> list[bytes]:
        out: list[bytes] = []
        segment = part.segments[0] if part.segments else None
        text = segment.text if segment is not None else ""
        key = (segment.names, _call_index(part)) if segment is not None else None
        waiting = self._waiting.get(part.index)
        if part.choice is fields and waiting is None:
            out += self.flush()  # numbered events stay in order
        if waiting is not None and not _continues(waiting, key, fields, text):
            out.append(self._written(self._waiting.pop(part.index)))
            waiting = None
        if waiting is None:
            waiting = self._waiting[part.index] = _Waiting(key, prefix, fields, event, text)
        else:
            self._add(waiting, key, fields, event, text)
        if waiting.is_whole or len(self._waiting) > _WAITING_MAX:
            out.append(self._written(self._waiting.pop(part.index)))
        return out

    def _add(self, waiting: _Waiting, key: Any, fields: Fields, event: bytes, text: str) -> None:
        if type(fields) is deltas.Lenient:
            waiting.fields = deltas.Lenient(waiting.fields)
        joined(waiting.fields, fields)
        waiting.key = waiting.key or key
        waiting.events.append(event)
        waiting.text += text

    def _written(self, waiting: _Waiting) -> bytes:
        if len(waiting.events) == 1:
            return self._numbered(waiting.events[0])
        sequence = waiting.fields.get("sequence_number")
        if type(sequence) is int:
            waiting.fields["sequence_number"] = sequence + self._shift
        try:
            data = deltas.dump(waiting.fields)
        except RecursionError:
            return b"".join(map(self._numbered, waiting.events))
        if type(sequence) is int:
            self._shift -= len(waiting.events) - 1
        return b"%b%b\n\n" % (waiting.prefix, data)

    def _numbered(self, event: bytes) -> bytes:
        return shifted(event, self._shift) if self._shift else event


def _is_plain(part: Part, fields: Fields) -> bool:
    """Whether the event only continues one text, so that it may wait."""
    choice = part.choice
    if len(part.segments) > 1 or choice.get("finish_reason") or (fields.get("choices") and not _usage_may_wait(fields)):
        return False
    delta = choice.get("delta")
    if not isinstance(delta, dict) or choice is fields:
        return True
    if any(value for name, value in delta.items() if not deltas.holds_text(name, value)):
        return False
    if not part.segments or part.segments[0].entry < 0:
        return "function_call" not in delta
    return _is_continued_call(delta["tool_calls"][0])


def _usage_may_wait(fields: Fields) -> bool:
    """Continuous usage is cumulative: the later one says it all."""
    usage = fields.get("usage")
    return usage is None or isinstance(usage, dict)


def _is_continued_call(call: Fields) -> bool:
    """Whether a tool call delta only adds arguments."""
    function = call.get("function")
    return isinstance(function, dict) and set(call) <= {"index", "function"} and set(function) <= {"arguments"}


def _call_index(part: Part) -> Any:
    entry = part.segments[0].entry
    return repr(part.choice["delta"]["tool_calls"][entry].get("index")) if entry >= 0 else None


def _continues(waiting: _Waiting, key: Any, fields: Fields, text: str) -> bool:
    """Whether an event goes on where the waiting one stopped, inside a word, and is written as that one is."""
    if ("choices" in waiting.fields) is not ("choices" in fields):
        return False
    if key is None or waiting.key is None:
        return True
    return bool(waiting.key == key and not (text and graphemes.starts_apart(text)))


def joined(fields: Fields, later: Fields) -> None:
    """Add a later event of the same text to an earlier one: text and lists grow, other fields are the later's."""
    if "choices" in fields:
        _joined_choice(fields["choices"][0], later["choices"][0])
        fields.update((name, value) for name, value in later.items() if name != "choices")
        return
    number = fields.get("sequence_number")
    _joined_choice(fields, later)
    if "sequence_number" in fields:
        fields["sequence_number"] = number


def _joined_choice(choice: Fields, later: Fields) -> None:
    for name, value in later.items():
        old = choice.get(name)
        if name == "delta" and isinstance(old, dict):
            _joined_delta(old, value)
        elif name in ("text", "delta") and isinstance(old, str):
            choice[name] = old + value
        elif name == "logprobs":
            choice[name] = _joined_logprobs(old, value)
        elif name == "token_ids":
            choice[name] = _joined_lists(old, value)
        else:
            choice[name] = value


def _joined_delta(delta: Fields, later: Fields) -> None:
    for name, value in later.items():
        old = delta.get(name)
        if name == "tool_calls" and old and value:
            function = old[0]["function"]
            function["arguments"] = function.get("arguments", "") + value[0]["function"].get("arguments", "")
        elif isinstance(old, str) and isinstance(value, str) and name != "type":
            delta[name] = old + value
        elif value or not old:
            delta[name] = value


def _joined_logprobs(old: Any, later: Any) -> Any:
    if isinstance(old, dict) and isinstance(later, dict):
        return {**old, **{name: _joined_lists(old.get(name), value) for name, value in later.items()}}
    return _joined_lists(old, later)


def _joined_lists(old: Any, later: Any) -> Any:
    if isinstance(old, list) and isinstance(later, list):
        return old + later
    return old if later is None else later
