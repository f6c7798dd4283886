"""A request for an answer in one piece, as one for a stream of it: which may be, and how.

Owns these two; the answer is put together by `together`.
"""

from typing import Final

import orjson

from proxy.model.endpoint import Endpoint
from proxy.model.whole_answers import WholeAnswers
from proxy.wire import accounting, splice

ENDPOINTS: Final = frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS, Endpoint.MESSAGES, Endpoint.RESPONSES})
_ASKED_FOR_USAGE: Final = frozenset({Endpoint.CHAT, Endpoint.COMPLETIONS})
_ALWAYS_UNLIKE: Final = ("stream_options", "stream", "background")
"""The first is the client's mistake, and the second too where it is no false: the engine says so in its own words. A
response in the background is none yet when it is answered."""


def may_be_streamed(body: bytes, endpoint: Endpoint, whole: WholeAnswers) -> bool:
    """Whether a stream of the answer says as much as the answer in one piece. `body`: a JSON object."""
    if endpoint not in ENDPOINTS:
        return False
    for name in (*_ALWAYS_UNLIKE, *whole.unlike):
        if name.encode() in body and any(_says_something(body[a:b]) for a, b in splice.value_spans(body, name)):
            return False
    if endpoint is not Endpoint.COMPLETIONS:
        return True
    return all(body.startswith(b'"', start) for start, _ in splice.value_spans(body, "prompt"))


def streamed(body: bytes, endpoint: Endpoint, whole: WholeAnswers) -> bytes:
    """The same request, for a stream that tells usage, as those of typed events do by themselves."""
    if splice.value_spans(body, "stream"):
        body = splice.replace_value(body, "stream", True)
    else:
        body = splice.with_first(body, "stream", True)
    return (
        accounting.with_usage(body, None, continuous=False)
        if whole.asks_usage and endpoint in _ASKED_FOR_USAGE
        else body
    )


def _says_something(value: bytes) -> bool:
    return bool(orjson.loads(value))
