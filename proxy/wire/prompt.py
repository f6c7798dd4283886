"""What a request says about its prompt and its wishes: prefix blocks, session, constraint, tier, promises asked for.

Owns the reading of these; a request without the fields and headers costs a few lookups. The block hashes are those of
this process: they are compared with each other and never leave it.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from proxy.wire.body import invalid
from proxy.wire.prompts.marks import HINT, unmarked

BLOCK_B: Final = 512
BLOCK_TOKENS: Final = 128
"""About: four bytes a token."""
MAX_BLOCKS: Final = 4096
_MAX_B: Final = BLOCK_B * MAX_BLOCKS
_BYTES_PER_TOKEN: Final = 4
_CUTS_B = tuple(BLOCK_B * blocks for blocks in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256))
"""Where prompts are compared that are to be sorted; the longer, the less often."""
_HEAD_DIGEST_B: Final = 4
_MARKUP_B: Final = 64
"""Of a body, what is not prompt: names, braces, parameters."""
_MILLISECONDS: Final = re.compile(rb"[0-9]{1,9}(?:\.[0-9]{1,6})?\Z")
_CONSTRAINTS: Final = frozenset(
    {
        "tools",
        "functions",
        "grammar",
        "json_schema",
        "structured_outputs",
        "guided_json",
        "guided_regex",
        "guided_grammar",
        "guided_choice",
        "regex",
        "ebnf",
        "format",
    }
)
"""Fields that bind the output; `response_format` does so too unless it says `text`."""
_PLAIN_FORMATS: Final = frozenset({"text", None})


class RequestHints(NamedTuple):
    """Promises asked for by headers, seconds; None: not asked for."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    deadline_s: float | None = None
    wait_s: float | None = None
    """Longest wait for a backend."""


NO_WISHES: Final = RequestHints()
_BOUNDS_MS = (("ttft", 1.0, 3_600_000.0), ("tpot", 0.01, 60_000.0), ("deadline", 1.0, 86_400_000.0))
"""Wish, least and most milliseconds: less cannot be kept by any engine, more is a mistake of units."""
_WISHES = tuple(
    (name, wish, low, high)
    for (wish, low, high), names in zip(
        _BOUNDS_MS,
        (
            (b"x-slo-ttft-ms", b"x-llm-d-slo-ttft-ms", b"x-dynamo-meta-slo-ttft-ms"),
            (b"x-slo-tpot-ms", b"x-llm-d-slo-tpot-ms"),
            (b"x-request-deadline-ms", b"x-llm-d-request-deadline-ms"),
        ),
        strict=True,
    )
    for name in reversed(names)
)
_WAIT: Final = b"x-llm-d-inference-ttl"
_WISH_NAMES: Final = frozenset((_WAIT, *(name for name, *_ in _WISHES)))
_GO_DURATION: Final = re.compile(rb"(?:(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(?:ns|us|ms|s|m|h)){1,6}\Z")
_GO_PART: Final = re.compile(rb"([0-9.]+)(ns|us|ms|s|m|h)")
_GO_UNITS: Final = {b"ns": 1e-9, b"us": 1e-6, b"ms": 1e-3, b"s": 1.0, b"m": 60.0, b"h": 3600.0}
_MAX_WAIT_S: Final = 86_400.0
_SESSION_HEADERS: Final[tuple[bytes, ...]] = (b"x-session-id", b"x-session-affinity", b"x-dynamo-session-id")
_AGENT_SESSION, _AGENT = b"x-claude-code-session-id", b"x-claude-code-agent-id"
_USER_MARK: Final = "_session_"
_MOST_USER: Final = 1024
"""Characters of a `user_id` that is looked into."""
_STAMP: Final = b"x-anthropic-billing-header"
_STAMP_WITHIN_B: Final = 128
_STAMP_LINE: Final = re.compile(_STAMP + rb':[^"\\]*')


def hints(headers: Mapping[bytes, bytes]) -> RequestHints:
    """The promises that the headers ask for (names in lower case). A bad value is a 400 that names its header."""
    if _WISH_NAMES.isdisjoint(headers):
        return NO_WISHES
    found: dict[str, float] = {}
    for name, wish, low, high in _WISHES:  # the plain name comes last and wins
        value = headers.get(name)
        if value is not None:
            found[wish] = _checked_ms(name.decode(), value, low, high) / 1e3
    return RequestHints(found.get("ttft"), found.get("tpot"), found.get("deadline"), _wait_s(headers.get(_WAIT)))


def _wait_s(value: bytes | None) -> float | None:
    """A duration as Go writes it, such as `1m30s`; `0` asks for nothing."""
    text = b"0" if value is None else value.strip()
    if text == b"0":
        return None
    if not _GO_DURATION.match(text):
        raise invalid(f"`{_WAIT.decode()}` must be a duration such as 1500ms or 2s.", _WAIT.decode())
    seconds = sum(float(number) * _GO_UNITS[unit] for number, unit in _GO_PART.findall(text))
    return min(_MAX_WAIT_S, seconds) or None


def _checked_ms(name: str, value: bytes, low: float, high: float) -> float:
    text = value.strip()
    if not _MILLISECONDS.match(text):
        raise invalid(f"`{name}` must be a number of milliseconds, such as 200.", name)
    milliseconds = float(text)
    if not low <= milliseconds <= high:
        raise invalid(f"`{name}` must be from {low:g} to {high:.0f} milliseconds.", name)
    return milliseconds


def session(headers: Mapping[bytes, bytes], fields: Mapping[str, Any]) -> str:
    """What the client calls the conversation, as a digest; empty when it does not. A header goes before `metadata`,
    and that before `prompt_cache_key`, which some share among all of their users. Agents that work for another one
    share its session, and are named beside it."""
    for name in _SESSION_HEADERS:
        told = headers.get(name)
        if told is not None and told.strip():
            return _digest(told.strip())
    metadata = fields.get("metadata")
    named = metadata.get("session_id") if isinstance(metadata, dict) else None
    if not named and (isinstance(metadata, dict) or _AGENT_SESSION in headers):
        named = _of_agent(headers, metadata.get("user_id") if isinstance(metadata, dict) else None)
    named = named or fields.get("prompt_cache_key")
    return _digest(named.encode("utf-8", "surrogatepass")) if isinstance(named, str) and named else ""


def _of_agent(headers: Mapping[bytes, bytes], user: Any) -> str:
    """Claude Code's session, in a header or in its `user_id`: JSON, before 2.1.78 `user_…_account_…_session_…`; and
    which of its agents asks. Empty for whoever else names a user: one user has many conversations."""
    told = headers.get(_AGENT_SESSION, b"").strip().decode("latin-1")
    if not told and isinstance(user, str) and len(user) <= _MOST_USER:
        told = _named_in(user) if user.startswith("{") else user.partition(_USER_MARK)[2]
    agent = headers.get(_AGENT, b"").strip() if told else b""
    return f"{told}\0{agent.decode('latin-1')}" if agent else told


def _named_in(user: str) -> str:
    try:
        said = orjson.loads(user)
    except orjson.JSONDecodeError:
        return ""
    named = said.get("session_id") if isinstance(said, dict) else None
    return named if isinstance(named, str) else ""


def _digest(name: bytes) -> str:
    return hashlib.blake2b(name, digest_size=8).hexdigest()


def is_constrained(fields: Mapping[str, Any]) -> bool:
    """Whether the output is bound to a grammar, a schema or tools."""
    if not _CONSTRAINTS.isdisjoint(fields) and any(fields.get(name) for name in _CONSTRAINTS):
        return True
    form = fields.get("response_format")
    if isinstance(form, dict):
        return form.get("type") not in _PLAIN_FORMATS
    text = fields.get("text")  # Responses
    form = text.get("format") if isinstance(text, dict) else None
    return isinstance(form, dict) and form.get("type") not in _PLAIN_FORMATS


def tier(fields: Mapping[str, Any]) -> str:
    """`service_tier`; empty when it is not text. Whatever it is, the engine gets it as it came."""
    value = fields.get("service_tier")
    return value if isinstance(value, str) else ""


def estimated_tokens(body_bytes: int) -> int:
    """Of the prompt, from the size of the body."""
    return max(1, (body_bytes - _MARKUP_B) // _BYTES_PER_TOKEN) if body_bytes else 0


def prefix(fields: Mapping[str, Any], model: str, whose: str) -> tuple[int, ...]:
    """Chained hashes of the prompt's whole blocks, tools first as chat templates put them; equal hashes: the same
    tenant, model and prompt up to there. A prompt longer than `MAX_BLOCKS` is known by its beginning.

    The line that Claude Code stamps each of its requests with is no part of it: engines with Anthropic's API (vLLM,
    llama.cpp) leave it out, or leave out what changes, before they look into their caches."""
    data = _canonical(fields)
    chained = hash((model, whose))
    chain: list[int] = []
    start = 0
    if data.find(HINT) >= 0:
        data, border = unmarked(data)
        for at in range(0, border, BLOCK_B):  # the last block ends there
            chained = hash((chained, data[at : min(border, at + BLOCK_B)]))
            chain.append(chained)
        start = border
    for at in range(start, len(data) - BLOCK_B + 1, BLOCK_B):
        chained = hash((chained, data[at : at + BLOCK_B]))
        chain.append(chained)
    return tuple(chain)


def head_key(fields: Mapping[str, Any]) -> bytes:
    """Prompts whose first blocks are equal have keys that begin equally, in every process: in the order of their keys
    those that begin alike stand together."""
    data = _canonical(fields)
    chained = hashlib.blake2b(digest_size=_HEAD_DIGEST_B)
    key: list[bytes] = []
    start = 0
    for cut in _CUTS_B:
        if cut > len(data):
            break
        chained.update(data[start:cut])
        key.append(chained.digest())
        start = cut
    return b"".join(key)


def _canonical(fields: Mapping[str, Any]) -> bytes:
    get = fields.get
    parts: list[bytes] = []
    left = _MAX_B
    system = get("system")
    for value in (get("tools"), get("instructions"), system, _prompt(fields)):
        if value and left > 0:
            part = _bytes_of(value, left)
            if value is system and part.find(_STAMP, 0, _STAMP_WITHIN_B) >= 0:
                part = _STAMP_LINE.sub(b"", part, count=1)
            parts.append(part)
            left -= len(part)
    return b"".join(parts)[:_MAX_B]


def _prompt(fields: Mapping[str, Any]) -> Any:
    return (
        fields.get("messages")
        or fields.get("prompt")
        or fields.get("input")
        or fields.get("inputs")
        or fields.get("input_prefix")
    )


def _bytes_of(value: Any, most_b: int) -> bytes:
    """One after the other, so that a long conversation costs no more than what is looked at of it. None is kept: orjson
    leaves some kilobytes of room behind each, forty MiB behind 10,000 short messages."""
    if not isinstance(value, list):
        return orjson.dumps(value)
    data = bytearray()
    for item in value:
        data += _written(item)
        if len(data) >= most_b:
            break
    return bytes(data)


def _written(item: Any) -> bytes:
    """A message of a role and a text is nearly all that there is. Line ends stay as they are: what is compared with its
    like need not be read again. A quote would: nothing in a text may look like a mark."""
    if isinstance(item, dict) and len(item) == 2:
        role, text = item.get("role"), item.get("content")
        if isinstance(role, str) and isinstance(text, str) and text.find('"') < 0 and role.find('"') < 0:
            try:
                return b"".join((b'{"role":"', role.encode(), b'","content":"', text.encode(), b'"}'))
            except UnicodeEncodeError:  # half a surrogate pair, which orjson refuses, too
                pass
    return orjson.dumps(item)
