"""Content codings of answers: engines are asked for plain ones; what becomes of one that is coded all the same.

A client that said it takes the coding gets the bytes as they came. For any other, and wherever the proxy must read it,
a whole answer is undone; what flows cannot be, since a few bytes may unpack to any number while the client is slow.
"""

import zlib
from collections.abc import Iterable
from typing import Final

from proxy.model.faults import Fault, FaultError, Kind, upstream

_MAX_B: Final = 16 * 1024 * 1024
"""Of an unpacked answer: JSON of `limits.upstream.answer_buffer` is seldom coded more than ten times smaller."""
_ANY_WRAPPER: Final = 47
"""zlib's word for: gzip or zlib, whichever it is."""
_UNDONE: Final = frozenset({b"gzip", b"x-gzip", b"deflate"})


def coding_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The coding of a body, in lower case; empty: it is plain."""
    values = [value.strip().lower() for name, value in headers if name.lower() == b"content-encoding"]
    return b", ".join(value for value in values if value not in (b"", b"identity"))


def accepts(accept_encoding: bytes, coding: bytes) -> bool:
    """Whether a client that sent this `Accept-Encoding` takes a body in `coding` (RFC 9110 §12.5.3)."""
    weights: dict[bytes, bool] = {}
    for part in accept_encoding.lower().split(b","):
        name, _, parameter = part.partition(b";")
        weights[name.strip()] = not _is_zero(parameter)
    return weights.get(coding, weights.get(b"*", False))


def undone(body: bytes, coding: bytes, backend: str) -> bytes:
    """The plain body. FaultError (the backend's) when it is broken, too large, or in a coding we do not know."""
    if not coding:
        return body
    if coding not in _UNDONE:
        raise FaultError(unasked(backend))
    inflater = zlib.decompressobj(wbits=_ANY_WRAPPER)
    try:
        plain = inflater.decompress(body, _MAX_B)
    except zlib.error:
        plain = b""
    if not inflater.eof or inflater.unused_data:
        text = f"Backend {backend} sent a {coding.decode()} body that is broken, cut or too large."
        raise FaultError(upstream(Kind.NONSENSE, text))
    return plain


def unasked(backend: str) -> Fault:
    """For a coding that nobody asked for and nobody can undo here."""
    return upstream(Kind.NONSENSE, f"Backend {backend} sent a content coding that nobody asked for.")


def _is_zero(parameter: bytes) -> bool:
    """Whether `q=0`, `q=0.0`…: "not this one"."""
    name, _, value = parameter.partition(b"=")
    return name.strip() == b"q" and not value.strip(b" \t0.")
