"""Questions to the admin port of a proxy that is measured: what it is, what it keeps, its file read anew.

Owns how it is found out that the admin port belongs to the proxy that is measured.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from proxy.bench.http import LostError, Pool, Whole

_ASK_S: Final = 10.0
_RELOAD_S: Final = 90.0


class AdminError(Exception):
    """The admin port does not do what is needed; the message says why."""


@dataclass(slots=True)
class Admin:
    """One port. `headers`: with its key, where it has one."""

    url: str
    headers: dict[str, str]

    async def status(self) -> dict[str, Any]:
        """`GET /status`. Raises AdminError."""
        return await self._ask("GET", "/status")

    async def config(self) -> dict[str, Any]:
        """`GET /config`. Raises AdminError."""
        return await self._ask("GET", "/config")

    async def reload(self) -> str:
        """The file is read anew; the hash of what is in place then. Raises AdminError."""
        told = await self._ask("POST", "/reload", _RELOAD_S)
        waiting = told.get("restart_needed") or []
        if waiting:
            raise AdminError(f"needs a restart of the proxy: {waiting[0]}")
        return str(told.get("hash", ""))

    async def empty_cache(self) -> bool:
        """Kept answers are void; False: it keeps none. Raises AdminError."""
        try:
            await self._ask("POST", "/cache/bump")
        except NothingKeptError:
            return False
        return True

    async def _ask(self, method: str, path: str, within_s: float = _ASK_S) -> dict[str, Any]:
        pool, whole = Pool(self.url, self.headers), Whole()
        try:
            async with asyncio.timeout(within_s):
                await pool.ask(path, b"", whole, method=method, headers={"content-length": "0"})
        except (LostError, TimeoutError) as lost:
            raise AdminError(f"no admin port answers at {self.url}: {lost or 'no answer in time'}") from None
        finally:
            pool.close()
        told = _object(bytes(whole.body))
        if whole.status == 200:
            return told
        errors = told.get("errors") or [told.get("error") or f"it answered {whole.status}"]
        first = errors[0].get("message", "") if isinstance(errors[0], dict) else str(errors[0])
        kind = NothingKeptError if path.startswith("/cache") and whole.status in (404, 409) else AdminError
        raise kind(f"{self.url}{path}: {first}")


class NothingKeptError(AdminError):
    """The proxy keeps no answers."""


async def admin_of(url: str, headers: dict[str, str], listen_url: str) -> tuple[Admin, dict[str, Any]] | None:
    """The port and its status, if it is the admin port of the proxy that answers at `listen_url`; None: it is not."""
    admin = Admin(url, headers)
    try:
        status = await admin.status()
    except AdminError:
        return None
    listen = str(status.get("listen") or "")
    same = urlsplit(listen).port == urlsplit(listen_url).port
    return (admin, status) if same or not listen else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
