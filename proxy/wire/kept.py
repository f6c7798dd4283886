"""A kept answer: what of a finished one is worth keeping, and the bytes in which it is.

Owns which answers may be kept: complete 200s that ended well. Streams are kept as their engine sent them, event by
event, usage and all, so that each client gets them cut, paced and counted as it would have got them from the engine.
"""

import hashlib
import re
from typing import Any, Final, NamedTuple

import orjson

from proxy.model.endpoint import ENDPOINTS, Endpoint
from proxy.wire import forms, sse, usage
from proxy.wire.cacheable import TWO_FORMS
from proxy.wire.event import Event
from proxy.wire.usage import Usage

_PLAIN: Final = re.compile(rb"(?:data: [^\r\n]*\n\n)+")
"""Events that a client may see as they are."""
_REASON: Final = re.compile(rb'"(?:finish_reason|stop_reason)"\s*:\s*"([^"]*)"')
_REFUSES: Final = re.compile(rb'"refusal"\s*:\s*"[^"]')
_CALLS: Final = re.compile(rb'"(?:tool_calls"\s*:\s*\[\s*\{|function_call"\s*:\s*\{)')
_ENDED_WELL: Final = frozenset(
    b"stop length tool_calls function_call end_turn stop_sequence tool_use max_tokens eos eos_token".split()
)
_FINGERPRINT: Final = re.compile(rb'"system_fingerprint"\s*:\s*"([^"\\]{1,128})"')
_IS_NAME: Final = re.compile(r"[A-Za-z0-9._:-]{6,128}\Z")
_PREFIX: Final = re.compile(r"[a-z]+[-_]")
_CREATED: Final = re.compile(rb'"created"\s*:\s*[0-9]{9,11}')
_FIXED_B: Final = 400
"""What the value takes beside its body."""
_MAGIC: Final = b"tidegate-kept-1\n"
_CHECK_B: Final = 16


class Kept(NamedTuple):
    """One answer."""

    body: bytes
    """JSON, or the events of a stream."""
    is_stream: bool
    continuous: bool
    """Usage stands in every event because we asked for it."""
    made: float
    """Seconds of the wall clock."""
    usage: Usage
    maker: bytes
    """Digest of who had it made; empty: nobody with a key."""
    id: str = ""
    """As its engine called it; empty: it has no name that can be replaced."""
    fingerprint: str = ""
    """What it says of the engine that made it; empty: nothing."""

    @property
    def size_b(self) -> int:
        """Memory that it takes."""
        return len(self.body) + _FIXED_B

    def fresh(self, unique: str, created: int) -> bytes:
        """Its body as an answer of its own, made now (seconds of the wall clock). Text cannot look like these fields:
        in it every quote is escaped."""
        body = self.body
        if self.id:
            prefix = _PREFIX.match(self.id)
            named = b'"id":"%b"' % ((prefix[0] if prefix is not None else "") + unique).encode()
            for spelled in (b'"id":"%b"', b'"id": "%b"'):
                body = body.replace(spelled % self.id.encode(), named)
        return _CREATED.sub(b'"created":%d' % created, body, 0 if self.is_stream else 1)


def of_whole(body: bytes, endpoint: Endpoint, made: float, maker: bytes) -> Kept | None:
    """Of an answer in one piece; None where it is not to be kept."""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if isinstance(fields, dict) and fields.get("error"):
        return None
    if ENDPOINTS[endpoint].generates and not _ended_well(body, fields, endpoint):
        return None
    return Kept(body, False, False, made, usage.of_body(body), maker, _id(fields), fingerprint(body))


def of_stream(
    raw: bytes, tail: list[bytes], endpoint: Endpoint, made: float, maker: bytes, *, continuous: bool
) -> Kept | None:
    """Of a stream as it came; `tail`: its last events."""
    body = raw if _PLAIN.fullmatch(raw) else _cleaned(raw)
    fields = forms.whole(body, endpoint) if endpoint in TWO_FORMS and _CALLS.search(body) else None
    if not body or not tail or not _ended_well(body, fields, endpoint):
        return None
    told = usage.of_events(tail)
    return Kept(body, True, continuous, made, told, maker, _id(Event(tail[-1]).object), fingerprint(body))


def fingerprint(body: bytes) -> str:
    """What an answer says of the engine that made it; empty: nothing."""
    found = _FINGERPRINT.search(body)
    return "" if found is None else found[1].decode("utf-8", "replace")


def packed(kept: Kept, key: bytes) -> bytes:
    """As it travels to other proxies, under that key."""
    said = [kept.is_stream, kept.continuous, kept.made, [*kept.usage], kept.maker.hex(), kept.id, kept.fingerprint]
    data = orjson.dumps(said) + b"\n" + kept.body
    return b"".join((_MAGIC, _check(data, key), data))


def unpacked(data: bytes, key: bytes) -> Kept | None:
    """None for what is broken, of another version, or of another key."""
    at = len(_MAGIC) + _CHECK_B
    checked = data[at:]
    if not data.startswith(_MAGIC) or _check(checked, key) != data[len(_MAGIC) : at]:
        return None
    said, _, body = checked.partition(b"\n")
    is_stream, continuous, made, counts, maker, name, engine = orjson.loads(said)
    return Kept(body, is_stream, continuous, made, Usage(*counts), bytes.fromhex(maker), name, engine)


def _check(data: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_CHECK_B, key=key).digest()


def _id(fields: Any) -> str:
    name = fields.get("id") if isinstance(fields, dict) else None
    return name if isinstance(name, str) and _IS_NAME.match(name) else ""


def _ended_well(body: bytes, fields: Any, endpoint: Endpoint) -> bool:
    """Whether every text has ended for a good reason, none is a refusal, and every call of a tool can be read."""
    reasons = _REASON.findall(body)
    if not reasons or not _ENDED_WELL.issuperset(reasons) or _REFUSES.search(body):
        return False
    if endpoint not in TWO_FORMS:
        return True
    if not _CALLS.search(body):
        return True
    return isinstance(fields, dict) and all(_is_json(text) for text in forms.arguments(fields))


def _is_json(text: Any) -> bool:
    try:
        orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return False
    return True


def _cleaned(raw: bytes) -> bytes:
    splitter = sse.EventSplitter(len(raw) + 1)
    events = (sse.cleaned(event) for event in splitter.feed(raw))
    return b"".join(event for event in events if event and not event.startswith(b":"))
