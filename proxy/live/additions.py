"""What we ask of an engine beyond what its client asks, and whether the engine minds: usage of streams, and streams of
answers in one piece.

Owns these choices of one attempt; how a body is changed is for `wire` to know.
"""

import re
from typing import Final

from proxy.live.call import Call
from proxy.live.relay import Relay
from proxy.live.upstream.backends import Upstream
from proxy.wire import streamed_whole
from proxy.wire.accounting import Undo
from proxy.wire.continuation import Continuation

REFUSED: Final = frozenset({400, 422})
_SAID_B: Final = 2048
_NAMELESS: Final = re.compile(
    rb"(?i)unrecogni[sz]ed|unexpected|unknown|unsupported|not[ _](?:supported|permitted|allowed)|additional|extra"
    rb"|invalid[ _](?:json|request|argument|parameter|field|schema)|bad request"
)
"""How an engine says that it does not like a field, where it does not say which one."""


def undo(call: Call, backend: Upstream, continuation: Continuation | None) -> Undo:
    """What we ask of the engine beyond what the client asks, and so must take out again."""
    request = call.request
    if not request.stream:
        whole = backend.streams_whole(call.job.model, request.endpoint) if request.json else None
        if (
            whole is None
            or call.has_whole_form
            or not streamed_whole.may_be_streamed(call.body, request.endpoint, whole)
        ):
            return Undo.NOTHING
        return Undo.STREAM
    if request.continuous_usage_asked or request.endpoint not in backend.dialect.usage_on_request:
        return Undo.NOTHING
    if not backend.tells_usage(call.job.model):
        return Undo.NOTHING
    if not request.usage_asked:
        return Undo.ALL
    return Undo.CONTINUOUS if adds_continuous(call, backend, continuation) else Undo.NOTHING


def adds_continuous(call: Call, backend: Upstream, continuation: Continuation | None) -> bool:
    """Token borders and exact continuations need it; else it would only make every event longer."""
    needed = call.settings.granularity == "token" or continuation is not None
    return needed and backend.dialect.continuous_usage


def minds_usage(relay: Relay, call: Call, backend: Upstream) -> bool:
    """Whether the engine may have refused what we asked of it, and not what the client asked: it names it, or it names
    nothing and has not served a request that asked so."""
    model, status = call.job.model, relay.status
    if status == 200:
        if not backend.has_told_usage(model):
            backend.took_usage(model, True)
        return False
    if status < 400 or not relay.complete:
        return False
    if is_about_usage(relay.body):
        return True
    return (
        status in REFUSED and not backend.has_told_usage(model) and _NAMELESS.search(relay.body[:_SAID_B]) is not None
    )


def is_about_usage(body: bytes) -> bool:
    """Whether an error names what we asked for."""
    return b"stream_options" in body or b"include_usage" in body or b"continuous_usage_stats" in body
