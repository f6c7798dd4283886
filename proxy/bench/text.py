"""Prose of about so many tokens, from a seed.

Owns the words: short and common ones, of which tokenizers make one token each, and four bytes with their space, so that
engines and those who count by bytes agree.
"""

from random import Random
from typing import Final

_TEXT: Final = (
    "the of and to in is it was for on are as with his they at be this from have or by one had not but what all "
    "were we when your can said there use an each she do how if will up out many then them so some her make like "
    "him into time has look two more go see no way my than been call who its now find long down day did get come "
    "made may part over new take only work know year live me back give most very our just name good say help low "
    "line turn much mean old any same tell boy sky want show also form set put end does well well big even such "
    "here why ask went men read need land home us move try kind hand off play air away page song cup red box far "
    "run sea car city mile walk sun tree left late let own stop once book hear idea eat face real lake rain bird "
    "snow road farm fish wind rock salt"
)
_WORDS: Final = tuple(_TEXT.split())


def rng_of(*parts: object) -> Random:
    """Depends on these values only, on every machine."""
    return Random(repr(parts))  # noqa: S311 - reproducible, not secret


def prose(rng: Random, tokens: int) -> str:
    """Sentences without a meaning."""
    words = rng.choices(_WORDS, k=max(1, tokens))
    for at in range(0, len(words), 12):
        words[at] = words[at].capitalize()
    for at in range(11, len(words), 12):
        words[at] += "."
    return " ".join(words)
