"""Asks engines. Owns the time that each question may take.

Reads only, unless it is to try: GETs of routes that change nothing and keep no engine awake; follows no redirect, shows
no secret.
"""

import asyncio
import ssl
import time
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson

from proxy.app.doctor.finding import Finding
from proxy.app.doctor.judge import Seen, of_engine, told
from proxy.app.doctor.names import Names, Place, Resolver, of_name
from proxy.app.doctor.taste import of_taste, taste
from proxy.config.backend import BackendOptions
from proxy.engines import identity, recognition
from proxy.engines.base import Dialect
from proxy.engines.keys import key_headers
from proxy.engines.registry import DIALECTS, UNKNOWN

TIMEOUT_S: Final = 2.0
"""Of one question."""
ENGINE_S: Final = 7.5
"""Of all to one engine."""
_PORTS: Final = {"http": 80, "https": 443}
_MAX_ANSWER_B: Final = 4 << 20
_HERE: Final = Place("this machine", is_v6=False)
"""Of an engine on a Unix socket: there is no name to resolve."""
_SILENT: Final = Seen(None, 0, "", None, "", {})


async def engine(backend: BackendOptions, names: Names, *, tries: bool = False) -> list[Finding]:
    """What is found of one engine; takes ENGINE_S at most. `tries`: it is also asked for two tokens."""
    parts = urlsplit(backend.url)
    found: list[Finding] = []
    reached: list[Place] = []
    until = time.monotonic() + ENGINE_S
    try:
        async with asyncio.timeout(ENGINE_S):
            places: tuple[Place, ...] = (_HERE,)
            if not backend.address.socket:
                resolved = await names.reach(backend.ip or parts.hostname or "", parts.port or _PORTS[parts.scheme])
                found += of_name(backend.name, resolved)
                if resolved.error:
                    return found
                places = resolved.places
            reached = [place for place in places if not place.error]
            seen = await _seen(backend, reached, places)
    except TimeoutError:
        seen = _SILENT._replace(error=f"no answer within {ENGINE_S:g} s")
    found += of_engine(backend, seen, time.time())
    if tries and seen.status == 200:
        async with _session(backend, reached) as session:
            found += of_taste(backend, seen, await taste(session, backend, seen, until - time.monotonic()))
    return found


async def _seen(backend: BackendOptions, reached: list[Place], places: tuple[Place, ...]) -> Seen:
    if not reached:
        why = places[0].error if places else "has no address"
        return _SILENT._replace(error=f"cannot be reached: it {why}")
    try:
        return await _asked(backend, reached)
    except TimeoutError:
        return _SILENT._replace(error=f"no answer within {TIMEOUT_S:g} s")
    except aiohttp.ClientConnectorCertificateError as error:
        return _SILENT._replace(error=f"certificate: {_why(error.certificate_error)}", is_certificate=True)
    except (aiohttp.ClientError, OSError) as error:
        return _SILENT._replace(error=f"cannot be reached: {_why(getattr(error, 'os_error', error))}")


def _why(error: BaseException) -> str:
    said = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or type(error).__name__
    return str(said).lower()


async def _asked(backend: BackendOptions, reached: list[Place]) -> Seen:
    async with _session(backend, reached) as session:
        status, answered, body = await _get(session, backend, _written(backend).models_at)
        models = _parsed(body)
        server = answered.get("server", "")
        kind = recognition.by_host(backend.address.host) or recognition.recognise(models, server)
        for question in () if kind else recognition.signs(models, server):
            status_of_sign, _, said = await _get(session, backend, question.path)
            kind = question.reads(said) if status_of_sign == 200 else None
        dialect = DIALECTS.get(kind or "")
        paths = _paths(dialect) if dialect is not None else []
        answers = await _all(session, backend, paths)
        bodies = _good(answers)
        if dialect is not None and not told(Seen(kind, status, "", models, "", bodies)).unloaded:
            answers |= await _all(session, backend, [load.path for load in dialect.loads if load.calm_from])
            bodies = _good(answers)
        return Seen(
            kind,
            status,
            "",
            models,
            answered.get("date", ""),
            bodies,
            {path: code for path, (code, _) in answers.items() if code},
            identity.version(bodies.get(identity.VERSION_ROUTES.get(kind or "", ""), b"")),
            answered.get("location", ""),
            reached[0].host,
        )


def _session(backend: BackendOptions, reached: list[Place]) -> aiohttp.ClientSession:
    """No connection is used twice: llama.cpp closes one that carried a stream, and does not say so."""
    key = None if backend.api_key is None else backend.api_key.get_secret_value()
    headers = {"accept-encoding": "identity", **key_headers(_written(backend), "", key)}
    socket = backend.address.socket
    connector: aiohttp.BaseConnector = (
        aiohttp.UnixConnector(socket, force_close=True)
        if socket
        else aiohttp.TCPConnector(ssl=_context(backend), resolver=Resolver(reached), force_close=True)
    )
    return aiohttp.ClientSession(headers=headers, connector=connector, auto_decompress=False)


def _written(backend: BackendOptions) -> Dialect:
    """What is known of its kind before it is asked."""
    return DIALECTS.get(backend.known_kind, UNKNOWN)


def _paths(dialect: Dialect) -> list[str]:
    """What is asked of an engine of this kind, asleep or not."""
    loads = [source.path for source in dialect.loads if not source.stirs]
    version = identity.VERSION_ROUTES.get(dialect.kind)
    return list(dict.fromkeys([*loads, *([version] if version else []), *dialect.trap_routes]))


async def _all(
    session: aiohttp.ClientSession, backend: BackendOptions, paths: list[str]
) -> dict[str, tuple[int, bytes]]:
    return dict(zip(paths, await asyncio.gather(*(_tried(session, backend, path) for path in paths)), strict=True))


def _good(answers: dict[str, tuple[int, bytes]]) -> dict[str, bytes]:
    return {path: said for path, (code, said) in answers.items() if code == 200}


def _context(backend: BackendOptions) -> ssl.SSLContext | bool:
    if not backend.tls.verify:
        return False
    return ssl.create_default_context(cafile=backend.tls.ca_file) if backend.url.startswith("https") else True


async def _tried(session: aiohttp.ClientSession, backend: BackendOptions, path: str) -> tuple[int, bytes]:
    """Of a question beside the first; 0: it said nothing that could be read."""
    try:
        code, _, told = await _get(session, backend, path)
    except (aiohttp.ClientError, OSError, TimeoutError):
        return 0, b""
    return code, told


async def _get(session: aiohttp.ClientSession, backend: BackendOptions, path: str) -> tuple[int, Any, bytes]:
    async with asyncio.timeout(TIMEOUT_S), session.get(f"{backend.base_url}{path}", allow_redirects=False) as response:
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
