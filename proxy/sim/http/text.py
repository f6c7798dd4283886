"""Text of a modelled engine: tokens of about four characters, deterministic by seed and prompt.

Owns what counts as a token, how prompts are hashed into prefix pieces, and what an answer says. It imitates no
tokenizer in particular: four bytes of English per token is the usual rule of thumb.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from random import Random

TOKEN_CHARS = 4

_VOCABULARY = """
the a of to and in is that for it on as with was be by at from or an this which but not are have
model queue token batch cache stream engine proxy request answer prompt window tide gate harbour signal
river stone light morning garden letter winter market bridge copper paper silver thunder quiet
measure carry follow remember gather wander listen because although between under every never
naïve café Zürich señor œuvre 東京 данные 🌊 → slowly
"""
_WORDS = _VOCABULARY.split()
_PUNCTUATION = (".", ".", ".", ",", ",", ";", "?", "!")
MEDIAN_ANSWER_TOKENS = 120
LONGEST_ANSWER_TOKENS = 2048
"""Assumed: answers of chat models have a median around 120 tokens and a long tail."""


def rng_for(*parts: object) -> Random:
    """A generator that depends on these values only; same on every machine."""
    digest = blake2b(repr(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return Random(int.from_bytes(digest, "big"))  # noqa: S311 — reproducible, not secret


def cut_tokens(text: str) -> list[str]:
    """Pieces of four characters; a short last one."""
    return [text[i : i + TOKEN_CHARS] for i in range(0, len(text), TOKEN_CHARS)]


def count_tokens(text: str) -> int:
    """Tokens of a prompt: a fourth of its bytes, at least one."""
    return max(1, -(-len(text.encode("utf-8", "surrogatepass")) // TOKEN_CHARS))


def prefix_hashes(prompt: str | Sequence[int], prefix_tokens: int) -> tuple[int, ...]:
    """Chained hashes of the whole pieces of a prompt: equal up to where two prompts begin to differ."""
    data = _as_bytes(prompt)
    size = prefix_tokens * TOKEN_CHARS
    previous, hashes = b"", []
    for start in range(0, len(data) - size + 1, size):
        previous = blake2b(previous + data[start : start + size], digest_size=8).digest()
        hashes.append(int.from_bytes(previous, "big"))
    return tuple(hashes)


def _as_bytes(prompt: str | Sequence[int]) -> bytes:
    if isinstance(prompt, str):
        return prompt.encode("utf-8", "surrogatepass")
    return b"".join((token % (1 << 32)).to_bytes(TOKEN_CHARS, "big") for token in prompt)


def natural_length(rng: Random) -> int:
    """Tokens after which the model would end by itself."""
    return max(1, min(LONGEST_ANSWER_TOKENS, round(rng.lognormvariate(0.0, 0.8) * MEDIAN_ANSWER_TOKENS)))


def sentence_tokens(rng: Random, count: int) -> list[str]:
    """That many tokens of plausible nonsense."""
    tokens: list[str] = []
    capital = True
    while len(tokens) < count:
        word = rng.choice(_WORDS)
        end = rng.choice(_PUNCTUATION) if rng.random() < 0.12 else ""
        tokens += cut_tokens((" " if tokens else "") + (word.capitalize() if capital else word) + end)
        capital = end in {".", "?", "!"}
    return tokens[:count]


def cut_at_stop(tokens: Sequence[str], stops: Iterable[str]) -> tuple[list[str], str | None]:
    """The tokens before the first stop sequence, and which one it was; it is not part of the answer."""
    text = "".join(tokens)
    found = [(at, stop) for stop in stops if stop and (at := text.find(stop)) >= 0]
    if not found:
        return list(tokens), None
    at, stop = min(found)
    kept: list[str] = []
    for token in tokens:
        if at <= 0:
            break
        kept.append(token[:at])
        at -= len(token)
    return kept, stop
