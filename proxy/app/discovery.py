"""Which engines answer on this machine, at the ports that they usually have.

Owns the questions, all asked at once, each bounded in time and size. What an answer means is the dialects' knowledge.
"""

import asyncio
import socket
from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

import aiohttp
import orjson

from proxy.config.address import parse_address
from proxy.config.schema import Config
from proxy.config.starter import Machine, StarterEngine
from proxy.engines import listing, recognition
from proxy.engines.registry import DIALECTS

HOST = "127.0.0.1"
PORTS = tuple(port for dialect in DIALECTS.values() for port in dialect.ports)
TIMEOUT_S = 2.0
MAX_ANSWER_BYTES = 4 << 20
_LOADING = 503
_LOCKED = frozenset({401, 403})
_OURS = "x-tidegate-"


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    fields: Any
    """None for what is not JSON."""


_NOT_IN_TIME = _Answer(0, {}, None)
"""Somebody is there, and says nothing in time that is HTTP."""


def look_around(ports: Sequence[int] = PORTS) -> Machine:
    """Ask all ports; takes TIMEOUT_S at most."""
    answers = asyncio.run(_asked(ports))
    proxies = tuple(url for url, answer in answers.items() if _is_proxy(answer))
    engines = {url: _engine(url, answer) for url, answer in answers.items() if url not in proxies}
    listen, admin = (Config.model_fields[name].default for name in ("listen", "admin"))
    return Machine(
        engines=tuple(engine for engine in engines.values() if engine is not None),
        proxies=proxies,
        strangers=tuple(url for url, engine in engines.items() if engine is None),
        listen=listen if f"http://{listen}" in proxies else _free(listen, ports),
        admin=admin if proxies else _free(admin, ports),
        asked=f"{HOST}, ports {', '.join(map(str, ports))}",
    )


async def _asked(ports: Sequence[int]) -> dict[str, _Answer]:
    """What is said at each URL where somebody is."""
    urls = [f"http://{HOST}:{port}" for port in ports]
    plain = {"accept-encoding": "identity"}
    async with aiohttp.ClientSession(headers=plain, auto_decompress=False) as session:
        answers = await asyncio.gather(*(_answer(session, url) for url in urls))
    return {url: answer for url, answer in zip(urls, answers, strict=True) if answer is not None}


async def _answer(session: aiohttp.ClientSession, url: str) -> _Answer | None:
    """What `GET /v1/models` says there; None: nobody is there."""
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            session.get(f"{url}/v1/models", allow_redirects=False) as response,
        ):
            headers = {name.lower(): value for name, value in response.headers.items()}
            return _Answer(response.status, headers, _parsed(await _read(response)))
    except aiohttp.ClientConnectorError:
        return None
    except (OSError, TimeoutError, aiohttp.ClientError):
        return _NOT_IN_TIME


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body; empty when it is too long for a list of models."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            return b""
    return bytes(body)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _is_proxy(answer: _Answer) -> bool:
    return any(name.startswith(_OURS) for name in answer.headers)


def _engine(url: str, answer: _Answer) -> StarterEngine | None:
    """None for a program that is no engine."""
    kind = recognition.recognise(answer.fields, answer.headers.get("server", ""))
    if answer.status == 200 and (models := _models(answer.fields)) is not None:
        return StarterEngine(url, kind, models, "ready")
    if not isinstance(answer.fields, dict) or "error" not in answer.fields:
        return None
    if answer.status == _LOADING:
        return StarterEngine(url, kind, (), "loading")
    return StarterEngine(url, kind, (), "locked") if answer.status in _LOCKED else None


def _models(fields: Any) -> tuple[str, ...] | None:
    """In the engine's order; None when it is no list of models. Ollama without one says null for the list."""
    if isinstance(fields, dict) and fields.get("object") == "list" and fields.get("data", ...) is None:
        return ()
    found = listing.read(fields)
    return None if found is None else tuple(entry["id"] for entry in found.entries)


def _free(default: str, avoided: Iterable[int]) -> str:
    """The default address, unless another program has it; then the next port that nobody has and no engine wants."""
    host, port = parse_address(default)
    if _can_bind(host, port):
        return default
    return f"{host}:{next(other for other in count(port + 1) if other not in avoided and _can_bind(host, other))}"


def _can_bind(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
