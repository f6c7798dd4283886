"""Which requests may be answered from memory: by what they ask, and by their `Cache-Control` (RFC 9111 §5.2.1).

Owns these two readings; whether anything is kept at all is the configuration's to say.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from proxy.model.cache import CacheMode
from proxy.model.endpoint import Endpoint
from proxy.model.request import Request

TWO_FORMS: Final = frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS})
"""Whose streams and whole answers are made of each other."""
_SAMPLED: Final = TWO_FORMS | {Endpoint.MESSAGES}
_EXACT: Final = frozenset(
    {Endpoint.EMBEDDINGS, Endpoint.RERANK, Endpoint.SCORE, Endpoint.POOLING, Endpoint.MODERATIONS}
)
"""The same each time, whatever the body says."""
_MAX_AGE: Final = re.compile(rb'max-age="?([0-9]{1,9})"?\Z')


class Directives(NamedTuple):
    """What a client wants."""

    no_store: bool = False
    """Neither from memory nor into it."""
    no_cache: bool = False
    """Made anew; may be kept."""
    max_age_s: float | None = None
    only_if_cached: bool = False


NO_DIRECTIVES: Final = Directives()


def directives(header: bytes | None) -> Directives:
    """Of a `Cache-Control` header; what is not known is ignored. An age of 0 is `no-cache`."""
    if header is None:
        return NO_DIRECTIVES
    words = [word.strip() for word in header.lower().split(b",")]
    ages = [int(found[1]) for word in words if (found := _MAX_AGE.match(word))]
    age_s = min(ages) if ages else None
    return Directives(b"no-store" in words, b"no-cache" in words or age_s == 0, age_s, b"only-if-cached" in words)


def may_be_kept(request: Request, fields: Mapping[str, Any], mode: CacheMode) -> bool:
    """Whether an answer to it may be given again."""
    if mode == "off" or not fields or request.method != "POST":
        return False
    if request.endpoint in _EXACT:
        return not request.stream
    if request.endpoint not in _SAMPLED or fields.get("store") is True:
        return False
    return mode == "all" or is_exact(fields)


def is_exact(fields: Mapping[str, Any]) -> bool:
    """Whether it is meant to be answered the same way each time: greedy, or with a fixed seed."""
    temperature, seed = fields.get("temperature"), fields.get("seed")
    if type(temperature) in (int, float) and temperature == 0:
        return True
    return type(seed) is int and seed >= 0
