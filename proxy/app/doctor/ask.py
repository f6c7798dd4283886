"""Asks engines, names and the second level of the cache. Owns the time that each question may take.

Reads only: GETs of routes that change nothing and keep no engine awake; follows no redirect, shows no secret.
"""

import asyncio
import socket
import ssl
import time
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson

from proxy.app.doctor.judge import Found, Seen, of_engine, of_remote
from proxy.config.address import parse_address
from proxy.config.backend import BackendOptions
from proxy.config.diagnostics import Severity
from proxy.engines import recognition
from proxy.engines.registry import DIALECTS
from proxy.model.cache import CacheSettings

TIMEOUT_S: Final = 2.0
"""Of one question."""
ENGINE_S: Final = 7.0
"""Of all to one engine."""
_REDIS_PORT: Final = 6379
_MAX_ANSWER_B: Final = 4 << 20
_REFUSED: Final = Seen(None, 0, "", None, "", {})


async def engine(backend: BackendOptions) -> list[Found]:
    """What is found of one engine; takes ENGINE_S at most."""
    try:
        async with asyncio.timeout(ENGINE_S):
            seen = await _seen(backend)
    except TimeoutError:
        seen = _REFUSED._replace(error=f"no answer within {TIMEOUT_S:g} s")
    return list(of_engine(backend, seen, time.time()))


async def _seen(backend: BackendOptions) -> Seen:
    parts = urlsplit(backend.url)
    began = time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, TimeoutError):
        return _REFUSED._replace(error=f"the name {parts.hostname} does not resolve")
    resolved_s = time.monotonic() - began
    try:
        return (await _asked(backend))._replace(resolved_s=resolved_s)
    except TimeoutError:
        return _REFUSED._replace(error=f"no answer within {TIMEOUT_S:g} s")
    except aiohttp.ClientConnectorCertificateError as error:
        return _REFUSED._replace(error=f"certificate: {_why(error.certificate_error)}")
    except (aiohttp.ClientError, OSError) as error:
        return _REFUSED._replace(error=f"cannot be reached: {_why(getattr(error, 'os_error', error))}")


def _why(error: BaseException) -> str:
    said = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or type(error).__name__
    return str(said).lower()


async def _asked(backend: BackendOptions) -> Seen:
    headers = {"accept-encoding": "identity"}
    if backend.api_key is not None:
        headers["authorization"] = f"Bearer {backend.api_key.get_secret_value()}"
    connector = aiohttp.TCPConnector(ssl=_context(backend))
    async with aiohttp.ClientSession(headers=headers, connector=connector, auto_decompress=False) as session:
        status, answered, body = await _get(session, backend, "/v1/models")
        models = _parsed(body)
        server = answered.get("server", "")
        kind = recognition.recognise(models, server)
        for question in () if kind else recognition.signs(models, server):
            status_of_sign, _, told = await _get(session, backend, question.path)
            kind = question.reads(told) if status_of_sign == 200 else None
        dialect = DIALECTS.get(kind or "")
        paths = [source.path for source in dialect.loads if not source.stirs] if dialect else []
        answers = await asyncio.gather(*(_get(session, backend, path) for path in paths))
        bodies = {path: told for path, (code, _, told) in zip(paths, answers, strict=True) if code == 200}
        return Seen(kind, status, "", models, answered.get("date", ""), bodies)


def _context(backend: BackendOptions) -> ssl.SSLContext | bool:
    if not backend.tls.verify:
        return False
    return ssl.create_default_context(cafile=backend.tls.ca_file) if backend.url.startswith("https") else True


async def _get(session: aiohttp.ClientSession, backend: BackendOptions, path: str) -> tuple[int, Any, bytes]:
    async with asyncio.timeout(TIMEOUT_S), session.get(f"{backend.url}{path}", allow_redirects=False) as response:
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > _MAX_ANSWER_B:
                return response.status, response.headers, b""
        return response.status, response.headers, bytes(body)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


async def admin(address: str) -> Found | None:
    """Whether somebody answers at the admin address; None: nobody, and it is free."""
    if await connects(*parse_address(address)) is None:
        return None
    return Found(Severity.NOTE, "machine", f"somebody answers at the admin address {address}")


async def remote(cache: CacheSettings) -> Found | None:
    """How far the second level of the cache is; None: there is none, or it is a socket of this machine."""
    parts = urlsplit(cache.remote or "")
    if not cache.size or not parts.hostname:
        return None
    return of_remote(await connects(parts.hostname, parts.port or _REDIS_PORT), "cannot be reached")


async def connects(host: str, port: int) -> float | None:
    """Seconds until a connection stands; None: there is none."""
    began = time.monotonic()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return None
    writer.close()
    return time.monotonic() - began
