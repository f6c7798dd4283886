"""One token, one event: re-chunking of a stream at token granularity.

Owns the way of one stream's events: each comes in whole and clean (sse.cleaned, neither a comment nor `[DONE]`) and
leaves as the very same bytes, or as several events that add up to it. Event borders change; text, order and meaning
never do. An event not understood passes.

    event ─▶ like the one before? ─yes─▶ its text alone is read      (the common case)
                    └─no─▶ parsed ─▶ tokens counted ─▶ one? passes; more? cut
"""

import re
from typing import Any, Final, Protocol

import orjson

from proxy.wire import borders, deltas, splice
from proxy.wire.counting import Evidence, TokenCounter
from proxy.wire.deltas import Fields, Part, Segment
from proxy.wire.event import Event
from proxy.wire.tokens import Count

_SEQUENCE: Final = re.compile(rb'[{,]\s*"sequence_number"\s*:\s*([0-9]{1,15})(?=\s*[,}])')


_IDS: Final = re.compile(rb'("token_ids"\s*:\s*\[)([0-9]+(?:,[0-9]+)*)(?=\])')
_USAGE: Final = re.compile(rb'("usage"\s*:\s*\{)([^{}"]*(?:"[a-z_]*"[^{}"]*)*)(?=\})')


class Rechunker(Protocol):
    """One per stream."""

    def feed(self, whole: Event) -> list[bytes]:
        """What goes out now that this whole event came in."""

    def flush(self) -> list[bytes]:
        """What is withheld; call it when it has waited long enough, before anything else is written, and at the end."""

    @property
    def withholds(self) -> bool:
        """Whether `flush` would give anything."""

    @property
    def tokens(self) -> int:
        """Output tokens so far."""

    @property
    def count(self) -> Count:
        """The same, and how they were counted."""


class _Template:
    """An event without its text and its one number: what the next one most likely looks like."""

    __slots__ = ("head", "is_usage", "key", "number", "tail")

    def __init__(self, key: Any, head: bytes, tail: bytes, number: bytes, *, is_usage: bool) -> None:
        self.key = key
        """Which text of the stream it continues."""
        self.head = head
        self.tail = tail
        self.number = number
        """Between text and number; empty: there is no number."""
        self.is_usage = is_usage
        """The number is the inside of `usage`, not a token id."""


class TokenRechunker:
    """An event of k tokens becomes k events."""

    __slots__ = ("_counter", "_ones", "_shift", "_template", "_tokenizer")

    def __init__(self, evidence: Evidence) -> None:
        self._counter = TokenCounter(evidence)
        self._ones = evidence.one_token_per_event
        self._tokenizer = evidence.tokenizer
        self._template: _Template | None = None
        self._shift = 0
        """By how much the Responses API's sequence numbers have moved."""

    def feed(self, whole: Event) -> list[bytes]:
        """The event, or the events it becomes."""
        template, event = self._template, whole.raw
        if template is None or not event.startswith(template.head) or not event.endswith(template.tail):
            return self._feed_any(whole)
        body = event[len(template.head) : -len(template.tail)]
        text, separator, number = body.partition(template.number) if template.number else (body, b"", b"")
        try:
            plain = orjson.loads(b'"%b"' % text)
        except orjson.JSONDecodeError:
            return self._feed_any(whole)
        if not plain or len(separator) != len(template.number):
            return self._feed_any(whole)
        if not separator:
            return self._feed_text(template, event, plain)
        if number.isdigit() and not template.is_usage:
            self._counter.add_named(template.key, 1)
            return [event]
        return self._feed_number(template, whole, plain, number)

    def counts_one(self, event: bytes) -> bool:
        """Whether the event is one token, by the engine's word and all that is known of such events; then it counts.

        The caller has seen that it has some text, without a quote in it, where the one before had its text.
        """
        template = self._template
        if not self._ones or template is None or template.number:
            return False
        alike = event.startswith(template.head) and event.endswith(template.tail)
        return alike and self._counter.add_one(template.key)

    def flush(self) -> list[bytes]:
        """Nothing is ever withheld."""
        return []

    @property
    def withholds(self) -> bool:
        """Never."""
        return False

    @property
    def tokens(self) -> int:
        """Output tokens so far: the number of `count`."""
        return self._counter.tokens

    @property
    def count(self) -> Count:
        """Output tokens so far."""
        return self._counter.count

    def _feed_text(self, template: _Template, event: bytes, text: str) -> list[bytes]:
        """An event of a known shape that has nothing but text."""
        k = self._counter.add_text(template.key, text)
        pieces = self._pieces(template, text, k)
        if len(pieces) == 1:
            return [event]
        return [b"%b%b%b" % (template.head, deltas.dump(piece)[1:-1], template.tail) for piece, _ in pieces]

    def _feed_number(self, template: _Template, whole: Event, text: str, number: bytes) -> list[bytes]:
        """An event of a known shape that has text and either token ids or usage."""
        try:
            value = orjson.loads((b"{%b}" if template.is_usage else b"[%b]") % number)
        except orjson.JSONDecodeError:
            return self._feed_any(whole)
        if template.is_usage:
            k = self._counter.add_told(template.key, value)
        else:
            k = len(value)
            self._counter.add_named(template.key, k)
        if k == 0:
            return self._feed_any(whole)
        pieces = self._pieces(template, text, k)
        if len(pieces) == 1:
            return [whole.raw]
        write = _with_usage if template.is_usage else _with_ids
        return write(template, pieces, number)

    def _pieces(self, template: _Template, text: str, k: int) -> list[tuple[str, int]]:
        if k < 2:
            return [(text, k)]
        envelope_b = len(template.head) + len(template.number) + len(template.tail)
        return borders.text_pieces(text, k, self._tokenizer, borders.most_pieces(envelope_b))

    def _feed_any(self, whole: Event) -> list[bytes]:
        event = whole.raw
        start, end = data_span(event)
        fields = whole.fields if end > start else None
        if fields is None:
            return [event]
        found = deltas.parts(fields)
        if not found:
            self._counter.add_total(fields)
            return [self._renumbered(event)]
        counts = [self._counter.add(part, fields, alone=len(found) == 1) for part in found]
        self._learn(event, fields, found)
        if max(counts) > 1:
            return self._split(event, (start, end), fields, found, counts)
        return [self._renumbered(event)]

    def _split(
        self, event: bytes, span: tuple[int, int], fields: Fields, found: list[Part], counts: list[int]
    ) -> list[bytes]:
        start, end = span
        exact = deltas.load_exactly(event[start:end], fields)
        found = found if exact is fields else deltas.parts(exact)
        text_b = sum(len(s.text.encode("utf-8", "replace")) for part in found for s in part.segments)
        limit = borders.most_pieces(len(event) - text_b)
        plans = [
            (part, borders.slices(part.segments, k, part.tokens, self._tokenizer, limit))
            for part, k in zip(found, counts, strict=True)
        ]
        if not any(slices for _, slices in plans):
            return [self._renumbered(event)]
        prefix = event[:start]
        later = b"".join(line + b"\n" for line in prefix.split(b"\n")[:-1] if line.startswith(b"event:")) + b"data: "
        out = []
        for number, piece in enumerate(deltas.split(exact, plans)):
            self._number(piece, number)
            try:
                data = deltas.dump(piece)
            except RecursionError:
                return [self._renumbered(event)]
            out.append(b"%b%b\n\n" % (prefix if number == 0 else later, data))
        if "sequence_number" in fields:
            self._shift += len(out) - 1
        return out

    def _number(self, piece: Fields, number: int) -> None:
        sequence = piece.get("sequence_number")
        if type(sequence) is int:
            piece["sequence_number"] = sequence + self._shift + number

    def _renumbered(self, event: bytes) -> bytes:
        return shifted(event, self._shift) if self._shift else event

    def _learn(self, event: bytes, fields: Fields, found: list[Part]) -> None:
        """Remember the shape of an event that holds one text and at most one number that changes."""
        if len(found) != 1 or len(found[0].segments) != 1 or found[0].choice is fields:
            return
        part, segment = found[0], found[0].segments[0]
        delta = part.choice.get("delta") or {}
        is_plain = not any(value for name, value in delta.items() if name != segment.names[0])
        is_same_everywhere = all(map(deltas.keeps_nothing_for_first_or_last, (fields, part.choice)))
        if segment.entry < 0 and is_plain and part.tokens is None and is_same_everywhere:
            self._template = _template(event, segment, part, has_usage=bool(fields.get("usage")))


def _with_ids(template: _Template, pieces: list[tuple[str, int]], number: bytes) -> list[bytes]:
    ids, start, out = number.split(b","), 0, []
    for text, count in pieces:
        mine = b",".join(ids[start : start + count])
        out.append(b"%b%b%b%b%b" % (template.head, deltas.dump(text)[1:-1], template.number, mine, template.tail))
        start += count
    return out


def _with_usage(template: _Template, pieces: list[tuple[str, int]], number: bytes) -> list[bytes]:
    """Usage goes with the last piece, null with those before."""
    none = template.number[:-1] + b"null" + template.tail[1:]
    out = [b"%b%b%b" % (template.head, deltas.dump(text)[1:-1], none) for text, _ in pieces[:-1]]
    last = deltas.dump(pieces[-1][0])[1:-1]
    return [*out, b"%b%b%b%b%b" % (template.head, last, template.number, number, template.tail)]


def _template(event: bytes, segment: Segment, part: Part, *, has_usage: bool) -> _Template | None:
    """The event around its text and number; None when it has more or is written in a way that is not found again."""
    text = deltas.dump(segment.text)[1:-1]
    for separator in (b'":"', b'": "'):
        opening = b'"' + segment.names[0].encode() + separator
        at = event.find(opening) + len(opening)
        if not text or event.count(opening) != 1 or not event.startswith(text + b'"', at):
            continue
        head, tail = event[:at], event[at + len(text) :]
        if part.token_ids is None and not has_usage:
            return _Template(part.index, head, tail, b"", is_usage=False)
        found = None if part.token_ids is not None and has_usage else (_USAGE if has_usage else _IDS).search(tail)
        if found is None or (_USAGE if has_usage else _IDS).search(tail, found.end()):
            return None
        number = tail[: found.end(1)]
        return _Template(part.index, head, tail[found.end(2) :], number, is_usage=has_usage)
    return None


def data_span(event: bytes) -> tuple[int, int]:
    """Where the data of an event of one data line stands; (0, 0) for any other."""
    if event.startswith(b"data: {") and event.find(b"\n") == len(event) - 2:
        return 6, len(event) - 2
    if event.startswith(b"data:"):
        start = 0
    else:
        start = event.find(b"\ndata:") + 1
        if start == 0:
            return 0, 0
    end = event.find(b"\n", start)
    if event.find(b"\ndata", start) >= 0 or event[end:] != b"\n\n":
        return 0, 0
    start += 5
    return (start + 1 if event[start : start + 1] == b" " else start), end


def shifted(event: bytes, by: int) -> bytes:
    """The event with its sequence number moved; quotes inside JSON strings are escaped, so a match is a real key."""
    found = list(_SEQUENCE.finditer(event))
    if not found:
        return event
    if len(found) == 1:
        start, end = found[0].span(1)
        return b"%b%d%b" % (event[:start], int(found[0][1]) + by, event[end:])
    start, end = data_span(event)
    fields = Event(event).fields
    number = fields.get("sequence_number") if fields is not None else None
    if type(number) is not int:
        return event
    return event[:start] + splice.replace_value(event[start:end], "sequence_number", number + by) + event[end:]
