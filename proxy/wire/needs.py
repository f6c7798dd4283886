"""What a request needs of an engine beside its endpoint: tools, pictures, sounds, prompts other than a text. Read from
the fields of its body.
"""

from collections.abc import Mapping
from typing import Any, Final

from proxy.model.abilities import NOTHING_NEEDED, Lack
from proxy.model.endpoint import Api

_BY_PART: Final = {
    "image_url": Lack.IMAGES,
    "input_image": Lack.IMAGES,
    "image": Lack.IMAGES,
    "input_audio": Lack.AUDIO,
    "audio_url": Lack.AUDIO,
}
"""By the `type` of a content part: Chat Completions, Responses, Messages, and what engines add."""
_MAX_PARTS: Final = 4096


def of(fields: Mapping[str, Any], api: Api = Api.OPENAI) -> frozenset[Lack]:
    """All of it."""
    found: set[Lack] = set()
    if (fields.get("tools") and fields.get("tool_choice") != "none") or fields.get("functions"):
        found.add(Lack.TOOLS)
    if isinstance(fields.get("prompt"), list):
        found.add(Lack.PROMPTS)
    _of_messages(fields.get("messages"), found)
    _of_messages(fields.get("input"), found)
    if api is Api.OLLAMA and _has_images(fields):
        found.add(Lack.IMAGES)
    return frozenset(found) if found else NOTHING_NEEDED


def _has_images(fields: Mapping[str, Any]) -> bool:
    """Ollama has them beside a text, not in it."""
    messages = fields.get("messages")
    shown = messages if isinstance(messages, list) else ()
    return bool(fields.get("images")) or any(isinstance(one, dict) and one.get("images") for one in shown)


def _of_messages(messages: Any, found: set[Lack]) -> None:
    if not isinstance(messages, list):
        return
    left = _MAX_PARTS
    for message in messages:
        parts = message.get("content") if isinstance(message, dict) else None
        if not isinstance(parts, list):
            continue
        for part in parts:
            left -= 1
            if left < 0:
                return
            kind = part.get("type") if isinstance(part, dict) else None
            need = _BY_PART.get(kind) if isinstance(kind, str) else None
            if need is not None:
                found.add(need)
