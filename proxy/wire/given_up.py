"""Whether an engine says of its own answer that it gave it up: what there is of it ends anywhere, and looks complete.

vLLM says `abort` of what it works at when it is paused, put to sleep or given other weights, SGLang when somebody asks
it to abort. Owns these words. Sources: vLLM 0.33.0 (`v1/engine`, `entrypoints/anthropic`),
SGLang 0.5.23 (`entrypoints/openai/serving_chat`).
"""

import re
from typing import Final

from proxy.model.endpoint import Endpoint

_WORD: Final = b'"abort"'
_REASON: Final = re.compile(rb'"finish_reason"\s*:\s*"abort"')
"""Never inside a text: in a JSON string a quote is escaped."""
_MESSAGE: Final = re.compile(rb'"type"\s*:\s*"message"')
_STOP_REASON: Final = re.compile(rb'"stop_reason"\s*:\s*"')
_ENDPOINTS: Final = frozenset({Endpoint.CHAT, Endpoint.CHAT_BATCH, Endpoint.COMPLETIONS})


def is_given_up(event: bytes) -> bool:
    """Whether an event of a chat or a text completion says so. Cheap where it does not."""
    return event.find(_WORD) >= 0 and _REASON.search(event) is not None


def was_given_up(body: bytes, endpoint: Endpoint) -> bool:
    """The same of a whole answer with status 200. Anthropic's have a reason, always; vLLM has none of theirs for it,
    and leaves the field out."""
    if endpoint is Endpoint.MESSAGES:
        return _STOP_REASON.search(body) is None and _MESSAGE.search(body) is not None
    return endpoint in _ENDPOINTS and is_given_up(body)
