"""Reads the case files: a file is one row of the table of bad input; each of its variants is bytes and an answer.

Owns the small language of the files (see README.md) and turns it into bytes. What the proxy then does is checked by
`expectations`.
"""

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent
KEY = "sk-canary7f3a"
CANARY = "canary7f3a"
"""Stands in the key, the prompt and in junk: it must never come out in a log."""

GOOD_CHAT = json.dumps({"model": "fake-model", "messages": [{"role": "user", "content": f"prompt {CANARY}"}]}).encode()

Pieces = str | dict[str, Any] | list[Any]


@dataclass(frozen=True)
class Expect:
    """What the answer has to be; every field has the meaning of its name in README.md."""

    status: list[int] = field(default_factory=list)
    answers: list[list[int]] = field(default_factory=list)
    last_answer: str = "needed"
    no_answer: bool = False
    closed: bool | str = "any"
    upstream: int | str = 0
    envelope: bool | str = True
    head: bool = False
    within_s: float = 5.0
    param: str | None = None
    code: str | None = None
    request_id: str = "any"
    cors: str = "any"
    label_other: bool = False
    answer_is: str | None = None
    answer_contains: str | None = None
    answer_ends_with: str | None = None
    answer_lacks: str | None = None
    answer_lacks_headers: list[str] = field(default_factory=list)
    upstream_lacks: list[str] = field(default_factory=list)
    upstream_keeps: dict[str, str] = field(default_factory=dict)
    upstream_body: str = "any"
    engine_connection: str = "any"
    log: dict[str, Any] = field(default_factory=dict)
    max_growth_mib: int | None = None
    max_peak_growth_mib: int | None = None
    max_output_lines: int | None = None

    @property
    def sequence(self) -> list[list[int]]:
        """Accepted statuses of each answer in turn."""
        return self.answers or [self.status]


@dataclass(frozen=True)
class Case:
    """One variant of one row."""

    row: str
    title: str
    name: str
    spec: dict[str, Any]
    expect: Expect

    @property
    def id(self) -> str:
        return f"{self.row} {self.name}"

    def request(self) -> bytes:
        """The bytes to send."""
        if "raw" in self.spec:
            return to_bytes(self.spec["raw"])
        return self._head() + self.body()

    def body(self) -> bytes:
        if "chat" in self.spec:
            return chat_body(self.spec["chat"])
        return to_bytes(self.spec["body"]) if "body" in self.spec else GOOD_CHAT

    def engine_bytes(self) -> bytes | None:
        """What the engine answers, when the row is about the engine."""
        if "engine_events" in self.spec:
            events = to_bytes(self.spec["engine_events"])
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(events), events)
        return to_bytes(self.spec["engine"]) if "engine" in self.spec else None

    def _head(self) -> bytes:
        spec = self.spec
        lines: list[Pieces] = [spec.get("line", "POST /v1/chat/completions HTTP/1.1")]
        lines += spec.get("host", ["Host: proxy.test"])
        lines += [spec["type"]] if spec.get("type") else ["Content-Type: application/json"] * ("type" not in spec)
        lines.append(f"Authorization: Bearer {KEY}")
        lines += ["X-Fake: case"] * (self.engine_bytes() is not None)
        lines += spec.get("head", [])
        lines += spec.get("framing", [f"Content-Length: {len(self.body())}"])
        return b"".join(to_bytes(line) + b"\r\n" for line in lines) + b"\r\n"


def chat_body(fields: dict[str, Any]) -> bytes:
    """A good chat with these fields on top."""
    return json.dumps(json.loads(GOOD_CHAT) | fields, ensure_ascii=False).encode()


def to_bytes(pieces: Pieces) -> bytes:
    """A string is Latin-1; a list is joined; a map is one of the pieces below."""
    if isinstance(pieces, str):
        return pieces.encode("latin-1")
    if isinstance(pieces, list):
        return b"".join(to_bytes(piece) for piece in pieces)
    name = next(iter(pieces))
    return _PIECES[name](pieces[name], pieces)


def _repeat(text: Any, piece: dict[str, Any]) -> bytes:
    return to_bytes(text) * int(piece["times"])


def _repeat_chunk(size: Any, piece: dict[str, Any]) -> bytes:
    return (b"%x\r\n" % size + b"a" * size + b"\r\n") * int(piece["times"])


def _chat(_: Any, __: dict[str, Any]) -> bytes:
    return b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n" + _length_and_chat(
        0, {}
    )


def _length_and_chat(_: Any, __: dict[str, Any]) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(GOOD_CHAT), GOOD_CHAT)


def _chunked_chat(trailer: Any, piece: dict[str, Any]) -> bytes:
    text = trailer.encode("latin-1") * piece.get("trailers", 1) if isinstance(trailer, str) else b""
    return b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(GOOD_CHAT), GOOD_CHAT, text)


def _gzip_chat(how: Any, _: dict[str, Any]) -> bytes:
    packed = gzip.compress(GOOD_CHAT)
    return packed[: len(packed) // 2] if how == "cut" else packed


def _gzip_zeros(mib: Any, _: dict[str, Any]) -> bytes:
    packer, zeros = zlib.compressobj(1, wbits=31), bytes(1 << 20)
    return b"".join(packer.compress(zeros) for _ in range(int(mib))) + packer.flush()


_PIECES: dict[str, Callable[[Any, dict[str, Any]], bytes]] = {
    "repeat": _repeat,
    "repeat_chunk": _repeat_chunk,
    "chat": _chat,
    "length_and_chat": _length_and_chat,
    "chunked_chat": _chunked_chat,
    "gzip_chat": _gzip_chat,
    "gzip_zeros_mib": _gzip_zeros,
}

_SPEC_KEYS = {
    "raw", "line", "host", "type", "head", "framing", "body", "chat", "half_close", "drip_s", "drip_body_s", "engine",
    "engine_events", "engine_then", "expect",
}  # fmt: skip


def load_cases() -> list[Case]:
    """Every variant of every file, in order; an unknown key in a file is an error."""
    return [case for path in sorted(FOLDER.glob("B*.yaml")) for case in _cases_of(path)]


def _cases_of(path: Path) -> list[Case]:
    content = yaml.safe_load(path.read_text())
    row = path.name.partition("_")[0]
    cases = []
    for name, spec in content["variants"].items():
        unknown = set(spec) - _SPEC_KEYS
        assert not unknown, f"{path.name}, {name}: unknown {unknown}"
        expect = Expect(**{**content["expect"], **spec.get("expect", {})})
        cases.append(Case(row, content["title"], str(name), spec, expect))
    return cases
