"""How a validator of the schema refuses a value: a message in plain words and, where there is one, a hint.

Owns the one exception that carries both through pydantic, and the did-you-mean used for keys, values and commands.
"""

from collections.abc import Iterable
from difflib import get_close_matches

from pydantic_core import PydanticCustomError

REFUSED = "refused"
"""The pydantic error type of our own refusals."""

_SIMILAR = 0.6
_SHOWN_CHARACTERS = 64
_MAX_KNOWN = 12


def refusal(message: str, hint: str = "") -> PydanticCustomError:
    """The exception to raise in a validator. Neither text may hold a secret."""
    return PydanticCustomError(REFUSED, "{message}", {"message": message, "hint": hint})


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean "weight"?`, or nothing when no known word is close."""
    found = closest(word, known)
    return f"did you mean {quoted(found)}?" if found else ""


def which_there_are(word: str, known: Iterable[str]) -> str:
    """`did you mean "fast"?`, else `known: fast, small`: for a name that somebody has to have."""
    there = sorted(known)
    if found := did_you_mean(word, there):
        return found
    rest = f", and {len(there) - _MAX_KNOWN} more" if len(there) > _MAX_KNOWN else ""
    return f"known: {', '.join(there[:_MAX_KNOWN]) or 'none'}{rest}"


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` most likely stands for; case and `-`/`_` do not count. Two neighbours that
    changed places are nearer than anything else: fingers do that."""
    by_folded, folded = {_folded(k): k for k in known}, _folded(word)
    swapped = [k for k in by_folded if _swaps_two(k, folded)]
    matches = swapped or get_close_matches(folded, by_folded, n=1, cutoff=_SIMILAR)
    return by_folded[matches[0]] if matches else None


def _swaps_two(one: str, other: str) -> bool:
    """Whether two neighbours have changed places, and nothing else differs."""
    odd = [at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b]
    if len(one) != len(other) or len(odd) != 2 or odd[1] != odd[0] + 1:
        return False
    return one[odd[0]] == other[odd[1]] and one[odd[1]] == other[odd[0]]


def quoted(text: str) -> str:
    """At most 64 characters of input, in quotes, with everything unprintable escaped."""
    shown = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
    safe = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in shown)
    return f'"{safe}"'


def _folded(word: str) -> str:
    return word[:_SHOWN_CHARACTERS].lower().replace("-", "_")
