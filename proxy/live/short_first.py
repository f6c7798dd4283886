"""Short answers that were given, and requests for the rest of them.

Owns what is remembered of an answer on its way, and the request that goes on with it. A request of one tenant cannot
overwrite what another one has under the same id, and none can read it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import orjson

from proxy.live.answer import Answer, Sink
from proxy.live.job_builder import BuiltJob
from proxy.model.faults import FaultError, Kind, downstream
from proxy.model.outcome import Outcome
from proxy.model.timeline import Clock
from proxy.wire import identity
from proxy.wire.body import invalid
from proxy.wire.headers import Head
from proxy.wire.prompts import short_first
from proxy.wire.prompts.expandable import ExpandableAnswers, ShortAnswer

_CONTENT_TYPE: Final = b"content-type"
_JSON: Final = b"application/json"
_TAPPED_B: Final = 256 * 1024
"""Of a stream of few tokens."""


class Tap:
    """Passes a stream on and remembers it."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._parts: list[bytes] = []
        self._size_b = 0

    def send(self, data: bytes) -> None:
        """As a sink does."""
        self._remember(data)
        self._sink.send(data)

    def send_chunk(self, data: bytes, chunk: bytes) -> None:
        """The same."""
        self._remember(data)
        self._sink.send_chunk(data, chunk)

    def text(self) -> str:
        """Of the answer; empty where it is not whole, or too long."""
        return short_first.text_of_stream(self.events())

    def events(self) -> bytes:
        """All of it; empty where it was too long."""
        return b"".join(self._parts) if self._size_b <= _TAPPED_B else b""

    def _remember(self, data: bytes) -> None:
        self._size_b += len(data)
        if self._size_b <= _TAPPED_B:
            self._parts.append(data)


class ShortFirst:
    """One per proxy."""

    def __init__(self, clock: Clock, *, is_on: bool) -> None:
        """`is_on`: there are answers that can be expanded."""
        self._clock = clock
        self._answers = ExpandableAnswers()
        self.is_on = is_on
        self.given = self.expanded = self.unknown = 0
        """Short answers, requests for more of one, and those for one that there is not."""

    def keep(self, outcome: Outcome, head: Head, taken: BuiltJob, answer: Answer, tap: Tap | None) -> None:
        """An answer was given, to its end or not."""
        first = taken.first
        if first is None or outcome.fault is not None:
            return
        self.given += 1
        text = short_first.text_of_whole(answer.body) if tap is None else tap.text()
        if not text:
            return
        now, whose = self._clock(), identity.whose(head)
        version, until = taken.request.prompt_version, now + first.rule.keep_s
        self._answers.keep((whose, head.request_id), ShortAnswer(taken.body, text, first.limit, version, until), now)

    def goes_on(self, head: Head, item: str, body: bytes) -> tuple[ShortAnswer | None, Head, bytes]:
        """The answer that is to go on, named by the path or a header, and the request for it; None where none is named.
        FaultError for one that there is not."""
        wanted = item or head.fields.get(short_first.HEADER, b"").decode("latin-1").strip()
        if not wanted:
            return None, head, body
        found = self._answers.find((identity.whose(head), wanted), self._clock())
        if found is None:
            self.unknown += 1
            text = "There is no answer of this id that could be expanded, or no more."
            raise FaultError(downstream(Kind.UNKNOWN_ROUTE, text, code="answer_not_found"))
        if head.content_encoding:
            raise FaultError(downstream(Kind.CONTENT_CODING, "Content-Encoding: only none is supported here."))
        asked = _fields(body)
        self.expanded += 1
        return found, _of_json(head), short_first.expanded(found.body, found.text, asked, found.limit)


def _of_json(head: Head) -> Head:
    """The body is ours, whatever the client sent."""
    others = [header for header in head.forward if header[0].lower() != _CONTENT_TYPE]
    return replace(head, content_type=_JSON, forward=[*others, (_CONTENT_TYPE, _JSON)])


def _fields(body: bytes) -> Mapping[str, object]:
    """What is wanted otherwise now; an empty body wants nothing."""
    if not body.strip():
        return {}
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        raise invalid("The request body must be a JSON object, or empty.")
    return fields
