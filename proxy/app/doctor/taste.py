"""One short request to an engine, twice: what only an answer tells. Asked for by `doctor --try` alone, since it costs a
few hundred tokens of prompt and two of answer. Engines that sleep, or have no model in memory, are left alone.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import aiohttp
import orjson

from proxy.app.doctor import rules
from proxy.app.doctor.finding import Finding
from proxy.app.doctor.judge import Seen, told
from proxy.config.backend import BackendOptions
from proxy.engines import listing
from proxy.engines.registry import DIALECTS

TASTE_S: Final = 5.0
_PATH: Final = "/v1/chat/completions"
_PROMPT: Final = "Say yes. " + "This text is long enough to be kept by a prefix cache, and means nothing. " * 20
"""More than one block of every prefix cache, of which the largest has 256 tokens."""
_MAX_B: Final = 1 << 20
_BAD: Final = (400, 422)


class Tasted(NamedTuple):
    """What came of it."""

    model: str = ""
    """Empty: none was asked, see `why_not`."""
    why_not: str = ""
    status: int = 0
    message: str = ""
    """What it said with an error."""
    first_s: float = 0.0
    """Until the first event of the second answer."""
    usage: Mapping[str, Any] | None = None
    """Of the second answer."""
    refuses_usage: bool = False
    """It takes the request without `stream_options` alone."""
    is_late: bool = False


def of_taste(backend: BackendOptions, seen: Seen, tasted: Tasted) -> Iterator[Finding]:
    """What it means. Pure."""
    name = backend.name
    if tasted.why_not:
        return (yield rules.NOT_TRIED.found(name, f"not tried: {tasted.why_not}"))
    if tasted.is_late:
        return (yield rules.TRIED_LATE.found(name, f"{tasted.model} was not done within {TASTE_S:g} s"))
    if tasted.status != 200:
        return (yield rules.TRIED_REFUSED.found(name, f"{tasted.model}: {tasted.status} {tasted.message}".strip()))
    yield rules.TRIED.found(name, f"{tasted.model} answers; its first token came after {tasted.first_s * 1000:.0f} ms")
    if tasted.refuses_usage:
        return (yield rules.USAGE_REFUSED.found(name))
    if tasted.usage is None:
        return (yield rules.USAGE_UNTOLD.found(name))
    dialect = DIALECTS.get(seen.kind or "")
    details = tasted.usage.get("prompt_tokens_details")
    tells = isinstance(details, dict) and isinstance(details.get("cached_tokens"), int)
    if dialect is not None and dialect.cached_flag and not tells:
        yield rules.CACHED_UNTOLD.found(name, do=f"start it with {dialect.cached_flag}")


async def taste(session: aiohttp.ClientSession, backend: BackendOptions, seen: Seen, within_s: float) -> Tasted:
    """Ask it; never raises."""
    model, why_not = _model(backend, seen)
    if why_not:
        return Tasted(why_not=why_not)
    try:
        async with asyncio.timeout(min(TASTE_S, within_s)):
            first = await _asked(session, backend, model, with_usage=True)
            if first.status in _BAD and "stream_options" in first.message:
                bare = await _asked(session, backend, model, with_usage=False)
                return bare._replace(refuses_usage=bare.status == 200)
            return first if first.status != 200 else await _asked(session, backend, model, with_usage=True)
    except TimeoutError:
        return Tasted(model, is_late=True)
    except (aiohttp.ClientError, OSError) as error:
        return Tasted(model, message=type(error).__name__)


def _model(backend: BackendOptions, seen: Seen) -> tuple[str, str]:
    """Which to ask; or why none."""
    found = listing.read(seen.models) if seen.status == 200 else None
    if found is None or not found.names:
        return "", "it lists no model"
    reading = told(seen)
    if reading.asleep or reading.unloaded:
        return "", "it sleeps"
    written = () if isinstance(backend.models, str) else backend.models
    wanted = [backend.aliases.get(name, name) for name in written] or sorted(found.names)
    loaded = reading.loaded if reading.loaded is not None else found.loaded
    there = [name for name in wanted if loaded is None or name in loaded]
    return (there[0], "") if there else ("", "no model of it is in memory")


async def _asked(session: aiohttp.ClientSession, backend: BackendOptions, model: str, *, with_usage: bool) -> Tasted:
    asked: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": _PROMPT}],
        "max_tokens": 1,
        "stream": True,
        "user": "tidegate-doctor",
    }
    if with_usage:
        asked["stream_options"] = {"include_usage": True}
    began, first_s, body = time.monotonic(), 0.0, bytearray()
    async with session.post(f"{backend.base_url}{_PATH}", json=asked, allow_redirects=False) as response:
        async for piece in response.content.iter_any():
            first_s = first_s or time.monotonic() - began
            body += piece
            if len(body) > _MAX_B:
                break
        message = "" if response.status == 200 else _message(bytes(body))
        return Tasted(model, "", response.status, message, first_s, _usage(bytes(body)))


def _usage(body: bytes) -> Mapping[str, Any] | None:
    """The last that a stream tells."""
    for line in reversed(body.split(b"\n")):
        if line.startswith(b"data: {") and b'"usage"' in line:
            event = _parsed(line[6:])
            usage = event.get("usage") if isinstance(event, dict) else None
            if isinstance(usage, dict):
                return usage
    return None


def _message(body: bytes) -> str:
    answer = _parsed(body)
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    said = (error.get("message") or error.get("detail")) if isinstance(error, dict) else error
    return said if isinstance(said, str) else ""


def _parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
