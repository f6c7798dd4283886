"""Asks the second level of the cache: Redis or Valkey. Reads only: PING, INFO.

Speaks its protocol itself, so that what is wrong can be told apart, and nothing need be installed. Owns the time that
this may take.
"""

import asyncio
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

from proxy.app.doctor import rules
from proxy.app.doctor.finding import Finding
from proxy.app.doctor.names import Names, of_name
from proxy.config.cache import CacheOptions
from proxy.live.cache.remote import TIMEOUT_S as PATIENCE_S

WHERE: Final = "cache.remote"
ALL_S: Final = 6.0
_ONE_S: Final = 2.0
_PINGS: Final = 100
_PINGS_S: Final = 1.5
_CLOSE_S: Final = 0.5
"""They end with it, however few came back."""
_PORT: Final = 6379
_SECURE: Final = ("rediss", "valkeys")
_MAX_LINE_B: Final = 1 << 16
_MAX_TEXT_B: Final = 1 << 20


class Store(NamedTuple):
    """What it said."""

    pings_s: tuple[float, ...] = ()
    info: Mapping[str, str] = {}
    refusal: str = ""
    """Its own word for why it does nothing more: `NOAUTH …`; or ours."""
    is_tls: bool = False
    """`refusal` is about TLS."""
    is_other: bool = False
    """It speaks something else."""
    is_away: bool = False


class _RefusedError(Exception):
    """An error as it writes it."""


class _OtherError(Exception):
    """No answer of its protocol."""


async def second_level(cache: CacheOptions, names: Names) -> list[Finding]:
    """What is found of it; nothing where there is none. Takes ALL_S at most."""
    parts = urlsplit(cache.remote or "")
    if cache.remote is None:
        return []
    found: list[Finding] = []
    try:
        async with asyncio.timeout(ALL_S):
            if parts.scheme == "unix":
                return list(of_store(await _asked(cache, "")))
            resolved = await names.reach(parts.hostname or "", parts.port or _PORT)
            found += of_name(WHERE, resolved)
            if resolved.error:
                return found
            if not resolved.reached:
                why = resolved.places[0].error if resolved.places else "has no address"
                return [*found, rules.STORE_AWAY.found(WHERE, f"cannot be reached: it {why}")]
            store = await _asked(cache, resolved.reached[0].host)
    except TimeoutError:
        store = Store(refusal=f"no answer within {_ONE_S:g} s", is_away=True)
    return [*found, *of_store(store)]


def of_store(store: Store) -> Iterator[Finding]:
    """What its answers mean. Pure."""
    if store.is_tls:
        return (yield rules.STORE_TLS.found(WHERE, store.refusal))
    if store.is_other:
        return (yield rules.STORE_OTHER.found(WHERE, store.refusal))
    if store.is_away:
        return (yield rules.STORE_AWAY.found(WHERE, store.refusal))
    if store.refusal:
        return (yield _refusal(store.refusal))
    info, pings = store.info, sorted(store.pings_s)
    p50, p99 = pings[len(pings) // 2], pings[min(len(pings) - 1, len(pings) * 99 // 100)]
    pace = f"{len(pings)} pings: p50 {p50 * 1000:.1f} ms, p99 {p99 * 1000:.1f} ms"
    if p99 > PATIENCE_S:
        yield rules.STORE_SLOW.found(WHERE, pace)
    yield rules.STORE_WELL.found(WHERE, f"{_program(info)}, {pace}")
    yield from _of_role(info)
    yield from _of_memory(info)


def _of_role(info: Mapping[str, str]) -> Iterator[Finding]:
    if info.get("role") in ("slave", "replica"):
        yield rules.STORE_REPLICA.found(WHERE)
    if info.get("cluster_enabled") == "1":
        yield rules.STORE_CLUSTER.found(WHERE)


def _of_memory(info: Mapping[str, str]) -> Iterator[Finding]:
    policy, most = info.get("maxmemory_policy", ""), info.get("maxmemory", "")
    if most == "0":
        yield rules.STORE_UNBOUNDED.found(WHERE)
    elif most.isdigit() and policy == "noeviction":
        yield rules.STORE_FULL.found(WHERE, f"maxmemory {int(most) >> 20} MiB, noeviction: full, it keeps nothing new")
    elif most.isdigit() and policy.startswith("allkeys"):
        yield rules.STORE_EVICTS.found(WHERE, f"{policy}: full, it may forget which answers are void")


def _refusal(text: str) -> Finding:
    word = text.partition(" ")[0]
    if word in ("NOAUTH", "WRONGPASS", "NOPERM") or "AUTH" in text:
        seen = "it wants a password" if word == "NOAUTH" else "it refuses the password"
        do = "give it as `cache.remote_password`" if word == "NOAUTH" else ""
        if "without any password configured" in text:
            seen, do = "it has no password, and one is given", "leave out `cache.remote_password`"
        if word == "NOPERM":
            seen, do = "its user may not ask it", "give the user +ping +info +get +set +getrange, and its own keys"
        return rules.STORE_KEY.found(WHERE, seen, do)
    if word == "LOADING":
        return rules.STORE_LOADING.found(WHERE)
    if "DB index" in text:
        return rules.STORE_DATABASE.found(WHERE)
    return rules.STORE_AWAY.found(WHERE, f"it answers {text[:80]}")


def _program(info: Mapping[str, str]) -> str:
    for name in ("valkey", "dragonfly", "redis"):
        if version := info.get(f"{name}_version"):
            return f"{name.capitalize()} {version}"
    return "a store"


async def _asked(cache: CacheOptions, host: str) -> Store:
    parts = urlsplit(cache.remote or "")
    secure = parts.scheme in _SECURE
    try:
        async with asyncio.timeout(_ONE_S):
            reader, writer = await _opened(parts, host, secure)
    except TimeoutError:
        if not secure:
            raise
        return Store(refusal=f"it takes connections, and does not answer TLS within {_ONE_S:g} s", is_tls=True)
    except ssl.SSLError as error:
        return Store(refusal=_tls(error), is_tls=True)
    except OSError as error:
        if secure and not error.errno:
            return Store(refusal="it ends the connection instead of TLS", is_tls=True)
        return Store(refusal=f"cannot be reached: {(error.strerror or 'no answer').lower()}", is_away=True)
    try:
        return await _talk(reader, writer, _logins(cache))
    except _RefusedError as error:
        return Store(refusal=str(error))
    except _OtherError:
        return Store(refusal="it answers in another protocol, or with TLS only", is_other=True)
    except TimeoutError:
        raise
    except (asyncio.IncompleteReadError, OSError):
        return Store(refusal="it closes the connection, as one that speaks TLS does", is_other=True)
    finally:
        writer.close()
        with suppress(OSError, TimeoutError):
            await asyncio.wait_for(writer.wait_closed(), _CLOSE_S)


async def _opened(parts: SplitResult, host: str, secure: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if parts.scheme == "unix":
        return await asyncio.open_unix_connection(parts.path)
    reader, writer = await asyncio.open_connection(host, parts.port or _PORT)
    if secure:
        try:
            await writer.start_tls(ssl.create_default_context(), server_hostname=parts.hostname)
        except BaseException:  # a time-out too; closed politely, it would wait for the end of a TLS that never began
            writer.transport.abort()
            raise
    return reader, writer


def _logins(cache: CacheOptions) -> list[tuple[str, ...]]:
    """What is said before anything else."""
    parts = urlsplit(cache.remote or "")
    said: list[tuple[str, ...]] = []
    if cache.remote_password is not None:
        said.append(("AUTH", cache.remote_password.get_secret_value()))
    if parts.scheme != "unix" and (number := parts.path.strip("/")):
        said.append(("SELECT", number))
    return said


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, logins: Sequence[tuple[str, ...]]) -> Store:
    for words in logins:
        await _said(reader, writer, *words)
    pings: list[float] = []
    began = time.monotonic()
    while len(pings) < _PINGS and time.monotonic() - began < _PINGS_S:
        asked = time.monotonic()
        await _said(reader, writer, "PING")
        pings.append(time.monotonic() - asked)
    info = await _said(reader, writer, "INFO")
    lines = (line.partition(":") for line in info.splitlines())
    return Store(tuple(pings), {name: value for name, colon, value in lines if colon})


async def _said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *words: str) -> str:
    """Its answer to one command."""
    parts = [word.encode() for word in words]
    writer.write(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))
    async with asyncio.timeout(_ONE_S):
        line = await _line(reader)
        if line.startswith(b"-"):
            raise _RefusedError(line[1:200].decode("utf-8", "replace"))
        if line.startswith(b"+"):
            return line[1:].decode("utf-8", "replace")
        length = line[1:]
        if not line.startswith(b"$") or not length.isdigit() or int(length) > _MAX_TEXT_B:
            raise _OtherError
        return (await reader.readexactly(int(length) + 2))[:-2].decode("utf-8", "replace")


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        line = await reader.readuntil(b"\r\n")
    except asyncio.LimitOverrunError:
        raise _OtherError from None
    if len(line) > _MAX_LINE_B:
        raise _OtherError
    return line[:-2]


def _tls(error: ssl.SSLError) -> str:
    said = getattr(error, "verify_message", "")
    return f"certificate: {said}" if said else f"TLS: {(error.reason or 'failed').replace('_', ' ').lower()}"
