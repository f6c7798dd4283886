"""Where the tokens of a piece of text begin, from the best evidence there is.

Owns the cut of known text into a known number of tokens. The bytes that the engine names for each token come first,
then a tokenizer, then words. Every cut keeps characters whole, so there may be fewer pieces than tokens.
"""

import itertools
from collections.abc import Iterator
from typing import Final

from proxy.wire import graphemes
from proxy.wire.deltas import Segment, TextSlice
from proxy.wire.tokens import TEXT_MAX, Tokenizer

_PIECE_OF_LONG_TEXT: Final = 4 * 1024
"""Characters; text over TEXT_MAX is cut in pieces of this size, whatever its tokens."""
_OUTPUT_MAX_B: Final = 4 * 1024 * 1024
"""What the envelopes of all pieces of one event may add up to."""


def most_pieces(envelope_b: int) -> int:
    """How many times an event's envelope may be repeated."""
    return max(1, _OUTPUT_MAX_B // max(1, envelope_b))


def slices(
    segments: list[Segment], k: int, named: list[bytes] | None, tokenizer: Tokenizer | None, limit: int
) -> list[TextSlice]:
    """The segments of one part, which hold `k` tokens together, cut at token borders; empty: leave it whole.

    `named`: the bytes of each token as the engine tells them. `limit`: the most pieces. Every segment gets a token, so
    more segments than tokens stay whole.
    """
    if k < 2 or not 0 < len(segments) <= min(k, limit):
        return []
    cut: list[TextSlice] = []
    start = 0
    for number, (segment, share) in enumerate(zip(segments, _shares(segments, k), strict=True)):
        most = max(1, limit * share // k)
        tokens = named[start : start + share] if named is not None and len(named) == k else None
        for text, count in _pieces(segment.text, share, tokens, tokenizer, most):
            cut.append(TextSlice(number, text, start, start + count))
            start += count
    return cut if len(cut) > 1 else []


def text_pieces(text: str, k: int, tokenizer: Tokenizer | None, limit: int) -> list[tuple[str, int]]:
    """One text of `k` tokens whose texts are not known: (text, number of tokens) of at most `limit` pieces."""
    return _pieces(text, k, None, tokenizer, limit)


def _shares(segments: list[Segment], k: int) -> list[int]:
    """`k` tokens dealt out by length, at least one each."""
    spare = k - len(segments)
    total = sum(len(segment.text) for segment in segments) or 1
    shares, seen, dealt = [], 0, 0
    for segment in segments:
        seen += len(segment.text)
        until = spare * seen // total
        shares.append(1 + until - dealt)
        dealt = until
    shares[-1] += k - sum(shares)
    return shares


def _pieces(
    text: str, k: int, named: list[bytes] | None, tokenizer: Tokenizer | None, most: int
) -> list[tuple[str, int]]:
    """(text, number of tokens) in order; the numbers add up to `k`."""
    if len(text) > TEXT_MAX:
        return _dealt(long_pieces(text, most), k)
    if min(k, most, len(text)) < 2:
        return [(text, k)]
    if k <= most:
        exact = _by_names(text, named) if named is not None else None
        if exact is not None:
            return exact
        pieces = tokenizer_pieces(text, k, tokenizer)
        if pieces is not None:
            return _dealt(pieces, k)
    return _dealt(word_pieces(text, min(k, most)), k)


def _dealt(pieces: list[str], k: int) -> list[tuple[str, int]]:
    n = len(pieces)
    if n == k:
        return [(piece, 1) for piece in pieces]
    return [(piece, k * (at + 1) // n - k * at // n) for at, piece in enumerate(pieces)]


def long_pieces(text: str, most: int) -> list[str]:
    """Long text cut in at most `most` pieces without looking for tokens."""
    size = max(_PIECE_OF_LONG_TEXT, -(-len(text) // most))
    return graphemes.cut(text, graphemes.snapped_borders(text, range(size, len(text), size)))


def tokenizer_pieces(text: str, k: int, tokenizer: Tokenizer | None) -> list[str] | None:
    """`text` at the tokenizer's borders, characters whole; None: there is none, it fails, or it does not see `k`."""
    if tokenizer is None:
        return None
    try:
        pieces = tokenizer.pieces(text)
        if len(pieces) != k and tokenizer.encode_count(text) != k:
            return None
    except ValueError:
        return None
    if "".join(pieces) != text:
        return None
    return graphemes.cut(text, graphemes.safe_borders(text, itertools.accumulate(map(len, pieces[:-1]))))


def word_pieces(text: str, k: int) -> list[str]:
    """`text` in about `k` pieces: words first, the longest words cut further, or neighbours joined."""
    starts = list(graphemes.word_starts(text))
    if not text.isascii():
        starts = list(graphemes.safe_borders(text, starts))
    words = len(starts) + 1
    if words > k:
        starts = [starts[words * at // k - 1] for at in range(1, k)]
    elif words < k:
        starts = list(graphemes.snapped_borders(text, _denser(starts, len(text), k)))
    return graphemes.cut(text, starts)


def _denser(starts: list[int], end: int, k: int) -> Iterator[int]:
    """Word borders and, between them, so many more by the length of the words that there are `k - 1`."""
    spare = k - len(starts) - 1
    seen, dealt = 0, 0
    for start, stop in zip([0, *starts], [*starts, end], strict=True):
        seen += stop - start
        extra = (spare * seen + end // 2) // end - dealt
        dealt += extra
        if start:
            yield start
        yield from (start + (stop - start) * at // (extra + 1) for at in range(1, extra + 1))


def _by_names(text: str, named: list[bytes]) -> list[tuple[str, int]] | None:
    """The cut that the tokens' own bytes say; None when they are not this text."""
    data = text.encode("utf-8", "surrogatepass")
    offset = _alignment(data, b"".join(named))
    if offset is None:
        return None
    indices = dict(_character_borders(text, data, named, offset))
    pieces, start, first = [], 0, 0
    for at in graphemes.safe_borders(text, indices):
        pieces.append((text[start:at], indices[at] - first))
        start, first = at, indices[at]
    pieces.append((text[start:], len(named) - first))
    return pieces


def _alignment(data: bytes, tokens: bytes) -> int | None:
    """How many bytes of `tokens` lie before the text (a space dropped at the start, bytes that were still missing)."""
    if tokens.endswith(data) or data.endswith(tokens):
        return len(tokens) - len(data)
    return 0 if tokens.startswith(data) else None  # cut at a stop sequence


def _character_borders(text: str, data: bytes, named: list[bytes], offset: int) -> Iterator[tuple[int, int]]:
    """(index in the text, number of tokens before it) where a token starts with a whole character."""
    at_byte, index, at = 0, 0, -offset
    for count, token in enumerate(named):
        if count and at_byte < at < len(data) and data[at] & 0xC0 != 0x80:
            index += len(data[at_byte:at].decode("utf-8", "surrogatepass"))
            at_byte = at
            yield index, count
        at += len(token)
