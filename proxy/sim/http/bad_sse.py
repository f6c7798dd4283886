"""Server-sent events, spelt well or as badly as a test asks.

Owns bytes only; `wire` writes them.
"""

import json
from itertools import pairwise

from proxy.sim.http.faults import BadSse
from proxy.sim.http.refusal import server_error

DONE = b"[DONE]"
HUGE_EVENT_BYTES = 2 << 20
HTML = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center>nginx</center></body>\r\n</html>\r\n"


def error_event() -> bytes:
    """What vLLM sends when its engine dies in the middle of a stream."""
    return json.dumps(server_error(500).body, separators=(",", ":")).encode()


def spell(data: bytes, name: str | None, kind: BadSse | None, position: int) -> list[bytes]:
    """One event as the writes it takes. `position`: events before it."""
    if kind is BadSse.NO_DONE and data == DONE:
        return []
    block = b"".join(_lines(data, name, kind, position))
    if kind in {BadSse.CRLF, BadSse.CR}:
        block = block.replace(b"\n", b"\r\n" if kind is BadSse.CRLF else b"\r")
    if kind is BadSse.SPLIT_UTF8:
        return _split_inside_characters(block)
    return [block]


def _lines(data: bytes, name: str | None, kind: BadSse | None, position: int) -> list[bytes]:
    lines = _added_before(kind, position)
    if name is not None:
        lines.append(b"event: " + name.encode() + b"\n")
    if kind is BadSse.MULTI_LINE and data.startswith(b"{"):
        data = json.dumps(json.loads(data), indent=1, ensure_ascii=False).encode()
    lines += [b"data: " + line + b"\n" for line in data.split(b"\n")]
    lines.append(b"\n")
    return lines


def _added_before(kind: BadSse | None, position: int) -> list[bytes]:
    if kind is BadSse.COMMENTS:
        return [b": keep-alive\n\n"]
    if kind is BadSse.IDS:
        return [f"id: {position}\nretry: 1000\n".encode()]
    if kind is BadSse.EMPTY_DATA:
        return [b"data:\n\n", b"event: ping\n\n"]
    if kind is BadSse.NULL_DATA and position == 1:
        return [b"data: null\n\n"]
    if kind is BadSse.HUGE_EVENT and position == 1:
        return [b'data: {"choices":[],"padding":"' + b"x" * HUGE_EVENT_BYTES + b'"}\n\n']
    if kind is BadSse.ERROR_FIRST and position == 0:
        return [b"data: " + error_event() + b"\n\n"]
    return []


def _split_inside_characters(block: bytes) -> list[bytes]:
    """Cut after the first byte of every multi-byte character."""
    cuts = [i + 1 for i, byte in enumerate(block) if byte >= 0xC0]
    edges = [0, *cuts, len(block)]
    return [block[start:end] for start, end in pairwise(edges) if start < end]
