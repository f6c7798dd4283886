"""One answer of an OpenAI-compatible server, read as it comes: when its tokens came, and how it ended.

Owns what counts as output (text, thoughts, arguments of tools), what an answer must have to be one, and its outcome.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final, Literal

import orjson

from proxy.bench.details import Gaps, Outcome, gaps_of

Kind = Literal["chat", "completion", "embeddings"]
_MOMENTS_MAX: Final = 200_000
_BODY_MAX_B: Final = 64 << 20
_ERROR_MAX: Final = 200
_REFUSALS: Final = (429, 503)


class Answer:
    """Takes one answer. `leave_after`: pieces of output after which its client leaves; None: it stays."""

    def __init__(self, kind: Kind, *, leave_after: int | None = None) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.moments: list[float] = []
        """Monotonic seconds at which output came."""
        self.ended_at: float | None = None
        self.usage: dict[str, Any] = {}
        self.finish = ""
        self.error = ""
        self.invalid = ""
        """Why it has not the form that was asked for."""
        self.leave: Callable[[], None] | None = None
        """Called when it is time to leave."""
        self._kind, self._leave_after = kind, leave_after
        self._pieces: list[str] = []
        self._rest = b""
        self._whole = bytearray()
        self._is_done = self._is_events = False

    # as it comes

    def on_head(self, status: int, headers: dict[str, str]) -> None:
        self.status, self.headers = status, headers
        self._rest, self._is_events = b"", "event-stream" in headers.get("content-type", "")

    def on_body(self, data: bytes, now: float) -> None:
        self.ended_at = now
        if self.status == 200 and self._is_events:
            self._take_lines(data, now)
        elif len(self._whole) < _BODY_MAX_B:
            self._whole += data

    def _take_lines(self, data: bytes, now: float) -> None:
        lines = (self._rest + data).split(b"\n") if self._rest else data.split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if line.startswith(b"data:"):
                self._take_event(line[5:].strip(), now)

    def _take_event(self, data: bytes, now: float) -> None:
        if data == b"[DONE]":
            self._is_done = True
            return
        try:
            event = orjson.loads(data)
        except ValueError:
            self.error = self.error or "an event that is not JSON"
            return
        if isinstance(event, dict):
            self._take_fields(event, now)

    def _take_fields(self, event: dict[str, Any], now: float) -> None:
        if event.get("error"):
            self.error = self.error or _message(event["error"])
        usage = event.get("usage")
        if isinstance(usage, dict):
            self.usage = usage
        for choice in event.get("choices") or ():
            piece = _piece(choice, self._kind)
            if piece:
                self._pieces.append(piece)
                if len(self.moments) < _MOMENTS_MAX:
                    self.moments.append(now)
            self.finish = choice.get("finish_reason") or self.finish
        if self._leave_after and len(self.moments) >= self._leave_after and self.leave is not None:
            self.leave()

    # when it is over

    def end(self) -> None:
        """It came whole, as far as HTTP is concerned."""
        if self.status == 200 and not self._is_events:
            self._read_whole()
        elif self.status != 200:
            self.error = _message_of(bytes(self._whole)) or f"HTTP {self.status}"
        elif not (self._is_done or self.finish) and not self.error:
            self.error = "the stream ended without finish_reason and [DONE]"

    def _read_whole(self) -> None:
        try:
            fields = orjson.loads(bytes(self._whole))
        except ValueError:
            fields = None
        wanted = "data" if self._kind == "embeddings" else "choices"
        if not isinstance(fields, dict) or not isinstance(fields.get(wanted), list):
            said = _message(fields["error"]) if isinstance(fields, dict) and fields.get("error") else ""
            self.error = said or f"no answer of OpenAI's API: it has no {wanted}"
            return
        usage = fields.get("usage")
        self.usage = usage if isinstance(usage, dict) else {}
        if self._kind != "embeddings":
            for choice in fields["choices"]:
                self._pieces.append(_piece(choice, self._kind))
                self.finish = choice.get("finish_reason") or self.finish
        elif not fields["data"]:
            self.error = "no answer of OpenAI's API: no vector in it"

    @property
    def is_vectors(self) -> bool:
        """It has no output to be counted."""
        return self._kind == "embeddings"

    @property
    def leaves_first(self) -> bool:
        """Its client leaves before the first token."""
        return self._leave_after == 0

    @property
    def outcome(self) -> Outcome:
        """Of an answer that is over; `error` says more."""
        if self.status == 200 and not self.error:
            return "served"
        if self.status in _REFUSALS:
            return "refused"
        return "broken" if self.moments else "failed"

    @property
    def text(self) -> str:
        """All output, one after the other."""
        return "".join(self._pieces)

    @property
    def text_digest(self) -> str:
        """Empty: there is no text."""
        text = self.text
        return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16] if text else ""

    @property
    def first_at(self) -> float | None:
        """Of a stream."""
        return self.moments[0] if self.moments else None

    @property
    def gaps(self) -> Gaps | None:
        """Between its pieces."""
        return gaps_of(self.moments)

    def tokens(self, name: str) -> int | None:
        """`prompt_tokens` or `completion_tokens`, as the server counts; None: it does not."""
        value = self.usage.get(name)
        return value if type(value) is int and value >= 0 else None

    @property
    def cached_tokens(self) -> int | None:
        """Of the prompt, found in the engine's cache."""
        told = self.usage.get("prompt_tokens_details")
        value = told.get("cached_tokens") if isinstance(told, dict) else None
        return value if type(value) is int else None


def _piece(choice: Any, kind: Kind) -> str:
    if not isinstance(choice, dict):
        return ""
    if kind == "completion":
        return str(choice.get("text") or "")
    said = choice.get("delta") or choice.get("message") or {}
    parts = [said.get(name) for name in ("reasoning_content", "reasoning", "content")]
    texts = [part for part in parts if isinstance(part, str) and part][:2]
    for call in said.get("tool_calls") or ():
        function = call.get("function") or {}
        texts += [function.get("name") or "", function.get("arguments") or ""]
    return "".join(texts)


def _message(error: Any) -> str:
    text = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(text or "an error without a message").split())[:_ERROR_MAX]


def _message_of(body: bytes) -> str:
    try:
        fields = orjson.loads(body)
    except ValueError:
        return ""
    if not isinstance(fields, dict):
        return ""
    return (
        _message(fields["error"]) if fields.get("error") else _message(fields["detail"]) if "detail" in fields else ""
    )
