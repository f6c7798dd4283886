"""How many tokens, and how we know.

Owns the sources of a count in order of trust, what a tokenizer must be able to do, and the estimate used when there is
none. Loads nothing: tokenizers come from outside.
"""

from enum import StrEnum
from typing import Final, NamedTuple, Protocol

TEXT_MAX: Final = 64 * 1024
"""Characters; longer text is not tokenised where anybody waits for it (1 MB of one letter takes up to a second)."""


class CountSource(StrEnum):
    """Where a count comes from, the most trusted first."""

    ENGINE_USAGE = "engine_usage"
    TOKEN_IDS = "token_ids"  # noqa: S105 — no secret
    CONTINUOUS_USAGE = "continuous_usage"
    TOKENIZER = "tokenizer"
    ESTIMATE = "estimate"


_TRUST: Final = {source: rank for rank, source in enumerate(CountSource)}


class Count(NamedTuple):
    """A number of tokens and its source."""

    value: int
    source: CountSource


def weaker(one: CountSource, other: CountSource) -> CountSource:
    """A sum is as good as its worst part."""
    return one if _TRUST[one] > _TRUST[other] else other


class Tokenizer(Protocol):
    """A vocabulary at work. Special tokens in text are plain text. Raises ValueError when it cannot."""

    def encode_count(self, text: str) -> int:
        """Number of tokens of `text`."""

    def pieces(self, text: str) -> list[str]:
        """`text` cut at token borders; a token that ends inside a character stays with the next one."""


# Bytes per token of o200k_base, measured on running text of each script (English prose and code; Russian, Greek,
# Arabic, Hebrew; Chinese, Japanese, Korean; Hindi, Thai; emoji), rounded.
_ASCII_LETTERS: Final = bytes(range(65, 91)) + bytes(range(97, 123)) + b" "
_ASCII_OTHER: Final = bytes(code for code in range(128) if code not in _ASCII_LETTERS)
_LEADS_OF_2: Final = bytes(range(0xC2, 0xE0))
_LEADS_OF_3: Final = bytes((0xE0, 0xE1, 0xE2))
_LEADS_OF_CJK: Final = bytes(range(0xE3, 0xF0))
_LEADS_OF_4: Final = bytes(range(0xF0, 0xF5))
_TOKENS_PER_LETTER: Final = 1 / 4.8
_SCRIPTS = (
    (_ASCII_OTHER, 1 / 1.9),
    (_LEADS_OF_2, 2 / 5.6),
    (_LEADS_OF_3, 3 / 6.5),
    (_LEADS_OF_CJK, 3 / 4.0),
    (_LEADS_OF_4, 4 / 3.0),
)
_SHORT_WORD: Final = 12
_LEARN_FROM: Final = 32.0
_RATIO_MIN, _RATIO_MAX = 0.25, 4.0
_LEARNING_RATE: Final = 0.2


class Estimator:
    """Tokens of text by bytes per token of its scripts, corrected by what engines' usage taught. One per model."""

    __slots__ = ("ratio",)

    def __init__(self) -> None:
        self.ratio = 1.0
        """Real tokens per estimated one, learned."""

    def tokens(self, text: str) -> float:
        """Expected tokens of `text`: bounded work, about 1 µs for a delta."""
        return self.ratio * uncorrected(text)

    def count(self, text: str) -> int:
        """Whole tokens: none for no text, one for a short word, else the expectation rounded."""
        if not text:
            return 0
        if len(text) <= _SHORT_WORD and text.isascii() and " " not in text[1:]:
            return 1
        return max(1, round(self.tokens(text)))

    def learn(self, expected: float, real: int) -> None:
        """A stream whose text gave `expected` uncorrected tokens had `real` ones."""
        if expected < _LEARN_FROM or real <= 0:
            return
        seen = min(max(real / expected, _RATIO_MIN), _RATIO_MAX)
        self.ratio += _LEARNING_RATE * (seen - self.ratio)


def uncorrected(text: str) -> float:
    """Tokens of `text` by its scripts alone."""
    if text.isascii():
        letters = len(text) - len(text.encode().translate(None, _ASCII_LETTERS))
        return letters * _TOKENS_PER_LETTER + (len(text) - letters) * _SCRIPTS[0][1]
    data = text.encode("utf-8", "replace")
    left = data.translate(None, _ASCII_LETTERS)
    tokens = (len(data) - len(left)) * _TOKENS_PER_LETTER
    for members, weight in _SCRIPTS:
        before, left = len(left), left.translate(None, members)
        tokens += (before - len(left)) * weight
    return tokens
