"""What is measured: which models it has, what it is, and whether it can be measured at all.

Owns the questions that are asked before the first request of a load, and what is said to people whose target is down,
is no OpenAI-compatible server, wants a key, or does not know a field that requests would have.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from proxy.bench.answer import Answer, Kind
from proxy.bench.asks import PATHS
from proxy.bench.http import LostError, Pool, Whole

PROBE_S: Final = 60.0
_MODELS_S: Final = 10.0
_SHOWN: Final = 8
_PROBES: Final[dict[Kind, dict[str, Any]]] = {
    "chat": {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 4, "temperature": 0},
    "completion": {"prompt": "Hello", "max_tokens": 4, "temperature": 0},
    "embeddings": {"input": "hello"},
}


class TargetError(Exception):
    """It cannot be measured; the message says why, and what to do."""


@dataclass(slots=True)
class Found:
    """What was found out."""

    models: list[str]
    owner: str = ""
    """`owned_by` of the model, where it says which server it is."""
    is_tidegate: bool = False
    server: str = ""
    includes_usage: bool = True
    """It takes `stream_options`, and says how many tokens a stream had."""
    notes: list[str] = field(default_factory=list)


async def find_out(
    url: str, headers: dict[str, str], kind: Kind, models: Sequence[str], *, insecure: bool = False, probe: bool = True
) -> Found:
    """Asks for its models, and one short request of each that is to be asked for. Raises TargetError."""
    pool = Pool(url, headers, insecure=insecure)
    try:
        found = await _models(pool, url, explicit=bool(models))
        for model in models or found.models[:1] or [""]:
            if model and found.models and model not in found.models:
                found.notes.append(f"{url} does not list the model {model!r}; it lists {_some(found.models)}")
            if probe:
                await _probe(pool, url, kind, model, found)
    finally:
        pool.close()
    return found


async def _models(pool: Pool, url: str, *, explicit: bool) -> Found:
    whole = Whole()
    try:
        async with asyncio.timeout(_MODELS_S):
            await pool.ask("/v1/models", b"", whole, method="GET")
    except TimeoutError:
        raise TargetError(f"{url}: no answer to GET /v1/models within {_MODELS_S:g} s") from None
    except LostError as lost:
        raise TargetError(f"nothing can be measured at {url}: {lost}") from None
    if whole.status in (401, 403):
        raise TargetError(f"{url} wants another key (HTTP {whole.status}); the environment says it, see --help")
    entries = _entries(bytes(whole.body))
    if entries is None or whole.status != 200:
        if explicit:
            return Found([], server=whole.headers.get("server", ""))
        raise TargetError(
            f"{url}: is it an OpenAI-compatible server? GET /v1/models answered {whole.status}"
            f"{'' if whole.status != 200 else ' without a list of models'}; if it is, name a model: --model NAME"
        )
    names = [str(entry.get("id")) for entry in entries if entry.get("id")]
    if not names and not explicit:
        raise TargetError(f"{url} has no model in its list; name one: --model NAME")
    owner = str(entries[0].get("owned_by") or "") if entries else ""
    return Found(names, owner, "x-tidegate-route" in whole.headers, whole.headers.get("server", ""))


async def _probe(pool: Pool, url: str, kind: Kind, model: str, found: Found) -> None:
    fields = {"model": model, **_PROBES[kind]}
    if kind == "embeddings":
        answer = await _asked(pool, url, kind, fields)
    else:
        streamed = {**fields, "stream": True}
        answer = await _asked(pool, url, kind, {**streamed, "stream_options": {"include_usage": True}})
        if answer.status in (400, 422):
            again = await _asked(pool, url, kind, streamed)
            if again.outcome == "served":
                answer, found.includes_usage = again, False
                found.notes.append(f"{url} does not take stream_options")
    if answer.outcome != "served":
        raise TargetError(f"{url}: a short request is not answered: {_why(answer, kind)}")
    found.is_tidegate = found.is_tidegate or "x-tidegate-route" in answer.headers
    if not answer.usage:
        found.notes.append(f"{url} says no usage: output tokens are counted here")


async def _asked(pool: Pool, url: str, kind: Kind, fields: dict[str, Any]) -> Answer:
    answer = Answer(kind)
    try:
        async with asyncio.timeout(PROBE_S):
            await pool.ask(PATHS[kind], orjson.dumps(fields), answer)
        answer.end()
    except TimeoutError:
        raise TargetError(f"{url}: a short request had no answer within {PROBE_S:g} s") from None
    except LostError as lost:
        answer.error = str(lost)
    return answer


def _why(answer: Answer, kind: Kind) -> str:
    status = f" (HTTP {answer.status})" if answer.status not in (None, 200) else ""
    hint = f"; it may not have {PATHS[kind]}" if answer.status in (404, 405) else ""
    return f"{answer.error or 'nothing in it'}{status}{hint}"


def _entries(body: bytes) -> list[dict[str, Any]] | None:
    try:
        told = orjson.loads(body)
    except ValueError:
        return None
    entries = told.get("data") if isinstance(told, dict) else None
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def is_here(url: str) -> bool:
    """On this machine."""
    return (urlsplit(url).hostname or "") in ("127.0.0.1", "localhost", "::1")
