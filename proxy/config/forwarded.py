"""Request headers the operator lets through. Owns why a name may not be asked for; `wire` owns what never passes."""

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from proxy.config.refusal import quoted, refusal
from proxy.wire.headers import NEVER_FORWARDED

_NAME = re.compile(r"[a-z0-9!#$%&'^`|~.+-]{1,64}\*?|\*", re.ASCII)

_HOP_BY_HOP = "it belongs to one connection and is never forwarded"
_FRAMING = "the proxy writes it itself for every backend"
_OWN = "nothing but harm comes of it behind a proxy"
_REFUSED = {
    "connection": _HOP_BY_HOP,
    "keep-alive": _HOP_BY_HOP,
    "proxy-authenticate": _HOP_BY_HOP,
    "proxy-connection": _HOP_BY_HOP,
    "te": _HOP_BY_HOP,
    "trailer": _HOP_BY_HOP,
    "upgrade": _HOP_BY_HOP,
    "http2-settings": _HOP_BY_HOP,
    "expect": _HOP_BY_HOP,
    "transfer-encoding": _FRAMING,
    "content-length": _FRAMING,
    "host": _FRAMING,
    "authorization": "it has its own rule: a backend with an api_key gets that one instead of the client's",
    "proxy-authorization": "it is a secret between the client and this proxy",
    "cookie": "it is the client's secret and means nothing to an engine",
}
_REFUSED_BY_NAME = {
    "x-request-id": "the proxy sends it itself, once",
    "x-conversation-id": "llama.cpp would go on generating after the client left",
}
"""A prefix may cover these: they are left out of it."""


def _forwarded(text: str) -> str:
    if not _NAME.fullmatch(text.lower()):
        hint = "a name such as x-team, or a prefix such as x-sim-*"
        raise refusal(f"{quoted(text)} is not a header name", hint)
    if text != text.lower():
        raise refusal(f"{quoted(text)} must be in lower case", f"write {text.lower()}")
    if text.encode() in NEVER_FORWARDED and text not in _REFUSED:
        raise refusal(_why_not(text, text, _REFUSED_BY_NAME.get(text, _OWN)))
    for name, reason in _REFUSED.items():
        if name == text or (text.endswith("*") and name.startswith(text[:-1])):
            raise refusal(_why_not(text, name, reason))
    return text


def _why_not(text: str, name: str, reason: str) -> str:
    return f"{name} cannot be forwarded: {reason}" if text == name else f"{text} would take in {name}: {reason}"


ForwardedHeader = Annotated[
    str,
    AfterValidator(_forwarded),
    WithJsonSchema(
        {"type": "string", "pattern": r"^[a-z0-9!#$%&'^`|~.+-]{1,64}\*?$", "examples": ["x-team", "x-sim-*"]}
    ),
]
"""A header name in lower case, or a prefix ending in `*`."""
