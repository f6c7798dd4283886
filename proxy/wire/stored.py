"""Ids of what engines keep for later (responses, conversations, threads): where requests and answers have them.

    /v1/responses/ID, /cancel, /input_items      /v1/conversations/ID, /items, /items/ITEM
    {"previous_response_id": ID}                 {"conversation": ID or {"id": ID}}
    {"thread": {"type": "create"}}               {"thread": {"type": "continue", "previous_message_id": ID}}  (Messages)

Owns reading them. An id is any text of 1 to 256 characters; whose it is, and where it is, is not known here.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import orjson

from proxy.wire import sse
from proxy.wire.body import invalid
from proxy.wire.event import Event

PREVIOUS_MESSAGE: Final = "thread.previous_message_id"
LONGEST: Final = 256
"""Characters; engines write 37. Whoever asks for a longer one asks for none of theirs."""
EVENT_B: Final = 1 << 20
"""Longest first event, or beginning of a whole answer, in which an id is looked for: it repeats the instructions."""
_FIRST: Final = re.compile(rb'\s*\{\s*"id"\s*:\s*"([^"\\\x00-\x1f]{1,256})"')
_KINDS: Final = {"responses": "Response", "conversations": "Conversation"}


class Named(NamedTuple):
    """What a request names of what an engine keeps."""

    id: str
    kind: str
    """`Response`, `Conversation` or `Message`."""
    field: str
    """Of the body; empty: it stands in the path."""
    is_all: bool = False
    """The path names it and nothing below it."""


def in_target(target: str) -> Named | None:
    """What the path names; None: nothing, it makes one."""
    segments = target.partition("?")[0].strip("/").split("/")
    if len(segments) < 3:
        return None
    return Named(unquote(segments[2]), _KINDS.get(segments[1], ""), "", len(segments) == 3)


def in_fields(fields: Mapping[str, Any]) -> list[Named]:
    """What a body names: it goes on from there. FaultError where it is no id."""
    found = []
    before = fields.get("previous_response_id")
    if before is not None:
        found.append(Named(_id(before, "previous_response_id"), "Response", "previous_response_id"))
    conversation = fields.get("conversation")
    if conversation is not None:
        told = conversation.get("id") if isinstance(conversation, dict) else conversation
        found.append(Named(_id(told, "conversation"), "Conversation", "conversation"))
    return found


def in_thread(fields: Mapping[str, Any]) -> list[Named]:
    """The message that a thread of Anthropic's goes on from. FaultError where it is no id."""
    thread = fields.get("thread")
    before = thread.get("previous_message_id") if isinstance(thread, dict) else None
    return [] if before is None else [Named(_id(before, PREVIOUS_MESSAGE), "Message", PREVIOUS_MESSAGE)]


def in_body(body: bytes) -> str:
    """The id of a whole answer, of which the beginning is enough where that is its first field; empty: it has none."""
    found = _FIRST.match(body)
    if found is not None:
        return found[1].decode("utf-8", "replace")
    if len(body) > EVENT_B:
        return ""
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return _told(fields)


def in_event(raw: bytes) -> str:
    """The id that an event of a stream tells, the first ones do; empty: none."""
    said = Event(sse.cleaned(raw)).object
    return _told(said.get("response") or said.get("message"))


def _told(fields: Any) -> str:
    told = fields.get("id") if isinstance(fields, dict) else None
    return told if isinstance(told, str) and 0 < len(told) <= LONGEST else ""


def _id(told: Any, field: str) -> str:
    if not isinstance(told, str) or not told:
        raise invalid(f"`{field}` must be the id of one, a non-empty string.", field)
    return told
