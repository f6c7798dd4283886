"""Where text may be cut: never inside what a reader takes for one character.

Owns the borders between user-perceived characters (UAX #29, on the side of too few borders: a missed one keeps two
characters together, an invented one would tear one apart) and the borders between words. Knows nothing of tokens.
"""

import unicodedata
from collections.abc import Iterable, Iterator

_ZWJ = "\u200d"
_VIRAMA_CLASS = 9
_HANGUL = range(0xAC00, 0xD7A4)
_LEADING = (range(0x1100, 0x1160), range(0xA960, 0xA97D))
_VOWELS_AND_TRAILING = (range(0x1160, 0x1200), range(0xD7B0, 0xD7FC))
_SKIN_TONES = range(0x1F3FB, 0x1F400)
_TAGS = range(0xE0020, 0xE0080)
_REGIONAL = range(0x1F1E6, 0x1F200)
_HALFWIDTH_MARKS = range(0xFF9E, 0xFFA0)
_HIGH_SURROGATES = range(0xD800, 0xDC00)
_LOW_SURROGATES = range(0xDC00, 0xE000)


def is_border(text: str, at: int, low: int = 0) -> bool:
    """Whether `text` may be cut before index `at` (0 < at < len). `low`: a known border to look back to at most."""
    before, after = text[at - 1], text[at]
    if after < "\u0300":
        return before != _ZWJ and not (before == "\r" and after == "\n")
    if before == _ZWJ or _extends(after):
        return False
    if unicodedata.combining(before) == _VIRAMA_CLASS and unicodedata.category(after) == "Lo":
        return False  # an Indic conjunct
    first, second = ord(before), ord(after)
    if second in _REGIONAL and first in _REGIONAL:
        return _regional_before(text, at, low) % 2 == 0
    if second in _LOW_SURROGATES and first in _HIGH_SURROGATES:
        return False
    return not _is_one_syllable(first, second)


def safe_borders(text: str, wanted: Iterable[int]) -> Iterator[int]:
    """The ascending indices of `wanted` that cut nothing apart; one that would is left out."""
    if text.isascii() and "\r" not in text:
        yield from (at for at in wanted if 0 < at < len(text))
        return
    low = 0
    for at in wanted:
        if 0 < at < len(text) and is_border(text, at, low):
            low = at
            yield at


def snapped_borders(text: str, wanted: Iterable[int]) -> Iterator[int]:
    """As `safe_borders`, but one that would cut something apart moves on to the next index that does not."""
    ascii_only = text.isascii() and "\r" not in text
    low, end = 0, len(text)
    for index in wanted:
        at = max(index, low + 1)
        while not ascii_only and at < end and not is_border(text, at, low):
            at += 1
        if at >= end:
            return
        yield at
        low = at


def cut(text: str, borders: Iterable[int]) -> list[str]:
    """`text` cut before each of the ascending indices."""
    pieces, start = [], 0
    for at in borders:
        pieces.append(text[start:at])
        start = at
    pieces.append(text[start:])
    return pieces


def word_starts(text: str) -> Iterator[int]:
    """Indices > 0 where a word, a run of signs or a run of spaces starts; one space belongs to the word after it."""
    kinds = text.encode().translate(_ASCII_KINDS) if text.isascii() else bytes(map(_kind, text))
    start, previous = 0, -1
    for end in range(1, len(kinds)):
        kind = kinds[end - 1]
        if kinds[end] == kind:
            continue
        if start and previous != 0:
            yield start
        if kind == 0:
            word = end - 1 if text[end - 1] == " " else end
            if word > start:
                yield word
        start, previous = end, kind
    if start and previous != 0:
        yield start


def starts_apart(text: str) -> bool:
    """Whether what came before `text` was a whole word: it starts with a space or a letter that stands alone."""
    return text[0].isspace() or stands_alone(text[0])


def ends_apart(text: str) -> bool:
    """Whether `text` ends with a whole word, whatever follows."""
    return text[-1].isspace() or stands_alone(text[-1])


def ends_inside(text: str) -> bool:
    """Whether `text` surely ends inside a character."""
    return text[-1] == _ZWJ or ord(text[-1]) in _HIGH_SURROGATES


def stands_alone(character: str) -> bool:
    """Whether it is of a script written without spaces: Han, kana, their punctuation and full-width forms."""
    code = ord(character)
    return (0x2E80 <= code <= 0x9FFF or 0xF900 <= code <= 0xFAFF or 0xFF00 <= code <= 0xFF9D) or (
        0x20000 <= code <= 0x3FFFF
    )


def _kind(character: str) -> int:
    if character.isspace():
        return 0
    return 1 if character.isalnum() or unicodedata.category(character)[0] == "M" else 2


def _extends(character: str) -> bool:
    code = ord(character)
    return (
        character == _ZWJ
        or unicodedata.category(character)[0] == "M"
        or code in _SKIN_TONES
        or code in _TAGS
        or code in _HALFWIDTH_MARKS
        or code == 0x200C
    )


def _is_one_syllable(first: int, second: int) -> bool:
    """Whether two Hangul code points belong together."""
    is_leading = any(first in block for block in _LEADING)
    if any(second in block for block in _VOWELS_AND_TRAILING):
        return is_leading or first in _HANGUL or any(first in block for block in _VOWELS_AND_TRAILING)
    return is_leading and (second in _HANGUL or any(second in block for block in _LEADING))


def _regional_before(text: str, at: int, low: int) -> int:
    start = at
    while start > low and ord(text[start - 1]) in _REGIONAL:
        start -= 1
    return at - start


_ASCII_KINDS = bytes(_kind(chr(code)) for code in range(128)) + bytes(128)
