"""The proxy that is measured gets another configuration for a cell: its file is changed and read anew, and is as it was
when the run ends, however it ends.

Owns the file meanwhile. A copy of what stood there lies beside it until it is back (`FILE.before-bench`), so that a
killed run leaves a way back; the next run takes it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from proxy.bench.admin import Admin, AdminError
from proxy.config.tree import parse

BACKUP: Final = ".before-bench"
_WINDOW: Final = "window"
_WINDOW_ENDPOINTS: Final = ("embeddings", "completions", "rerank", "score", "moderations")


class ReconfigureError(Exception):
    """The proxy cannot be configured so; the message says why."""


class Reconfigurer:
    """One per run. `engines`: backend → facts that it tells, such as `precision`."""

    def __init__(self, admin: Admin, file: Path, engines: dict[str, dict[str, str]]) -> None:
        """Raises ReconfigureError."""
        self._admin, self._file, self._engines = admin, file, engines
        self._backup = file.with_name(file.name + BACKUP)
        try:
            if self._backup.exists():
                file.write_bytes(self._backup.read_bytes())
            self._before = file.read_bytes()
        except OSError as error:
            raise ReconfigureError(f"{error.filename}: {error.strerror}") from None
        self._is_changed = self._backup.exists()

    async def apply(self, settings: Sequence[tuple[str, str]]) -> str:
        """The hash of the configuration that is in place then. Raises ReconfigureError."""
        if not settings:
            await self.restore()
            return ""
        tree = parse(self._before.decode("utf-8", "replace")).root
        plain = tree.plain() if tree is not None else None
        if not isinstance(plain, dict):
            raise ReconfigureError(f"{self._file}: holds no configuration")
        for key, value in settings:
            put(plain, key, value, self._engines)
        words = ", ".join(f"{key}={value}" for key, value in settings)
        return await self.place(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), words)

    async def place(self, text: str, words: str) -> str:
        """A whole file, called by these words where it cannot be; the hash of it. Raises ReconfigureError."""
        try:
            if not self._is_changed:
                self._backup.write_bytes(self._before)
                self._is_changed = True
            self._file.write_text(text, encoding="utf-8")
            return await self._admin.reload()
        except OSError as error:
            raise ReconfigureError(f"{self._file}: {error.strerror}; a sweep writes the proxy's file") from None
        except AdminError as error:
            raise ReconfigureError(f"{words}: {error}") from None

    async def restore(self) -> None:
        """As it was. Raises ReconfigureError."""
        if not self._is_changed:
            return
        try:
            self._write_back()
            await self._admin.reload()
            self._backup.unlink(missing_ok=True)
        except OSError as error:
            raise ReconfigureError(f"{self._file}: {error.strerror}; as it was: {self._backup}") from None
        except AdminError as error:
            self._backup.unlink(missing_ok=True)
            raise ReconfigureError(f"the file is as it was, but was not read anew: {error}") from None
        self._is_changed = False

    def _write_back(self) -> None:
        """Where it lies, so that links to it and mounts of it stay; on a full disk the copy takes its place."""
        try:
            self._file.write_bytes(self._before)
        except OSError:
            self._backup.replace(self._file)


def put(plain: dict[str, Any], key: str, value: str, engines: dict[str, dict[str, str]]) -> None:
    """One option in a tree of a file: `backend`, `precision`, `window.max_wait`, or a path, in which lists are gone
    through by name (`classes.chat.slo.ttft`), by number, or all (`*`). Raises ReconfigureError."""
    if key in ("backend", "precision"):
        _only(plain, key, value, engines)
        return
    path = key.split(".")
    if path[0] != _WINDOW:
        _put(plain, path, _value(path, value), key)
    elif path == [_WINDOW, "max_wait"] and value in ("0", "0ms", "0s"):
        _put_window(plain, {"mode": "off"}, key)
    elif len(path) == 2:
        _put_window(plain, {path[1]: _value(path, value)}, key)
    else:
        raise ReconfigureError(f"{key}: no option; write it like window.max_wait")


def _only(plain: dict[str, Any], key: str, value: str, engines: dict[str, dict[str, str]]) -> None:
    entries = plain.get("backends")
    known = entries if isinstance(entries, list) else []
    if key == "backend":
        kept = [one for one in known if isinstance(one, dict) and value in (one.get("name"), one.get("url"))]
        names = [str(one.get("name") or one.get("url")) for one in known if isinstance(one, dict)]
    else:
        wanted = {name for name, facts in engines.items() if facts.get("precision") == value}
        kept = [one for one in known if isinstance(one, dict) and one.get("name") in wanted]
        names = sorted({facts["precision"] for facts in engines.values() if facts.get("precision")})
    if not kept:
        raise ReconfigureError(f"no backend has {key} {value!r}; there are: {', '.join(names) or 'none that say it'}")
    plain["backends"] = kept


def _put_window(plain: dict[str, Any], changes: dict[str, Any], key: str) -> None:
    """Of every class; where there are none, of the endpoints whose requests can go together."""
    classes = plain.get("classes")
    if not classes:
        routing = plain.setdefault("routing", {})
        windows = {entry["endpoint"]: entry for entry in routing.get("windows") or []}
        routing["windows"] = [
            {**windows.get(name, {}), "endpoint": name, **changes} for name in sorted({*windows, *_WINDOW_ENDPOINTS})
        ]
        return
    for entry in classes:
        if not isinstance(entry, dict):
            raise ReconfigureError(f"{key}: the classes of the file have no options")
        before = entry.get(_WINDOW)
        entry[_WINDOW] = {**(before if isinstance(before, dict) else {}), **changes}


def _put(node: Any, path: list[str], value: Any, key: str) -> None:
    name, *below = path
    if isinstance(node, list):
        for one in _of_list(node, name, key):
            _put(one, below, value, key)
    elif not isinstance(node, dict):
        raise ReconfigureError(f"{key}: nothing stands below {name!r} in the file")
    elif below:
        _put(node.setdefault(name, {}) if node.get(name) is not None else _made(node, name), below, value, key)
    else:
        node[name] = value


def _made(node: dict[str, Any], name: str) -> dict[str, Any]:
    node[name] = {}
    return node[name]  # type: ignore[no-any-return]


def _of_list(entries: list[Any], name: str, key: str) -> list[Any]:
    if name == "*":
        return entries
    if name.isdigit() and int(name) < len(entries):
        return [entries[int(name)]]
    found = [one for one in entries if isinstance(one, dict) and one.get("name") == name]
    if not found:
        raise ReconfigureError(f"{key}: the file has no entry {name!r} there")
    return found


def _value(path: Sequence[str], text: str) -> Any:
    """As YAML reads it; a bare number for `max_wait` is milliseconds, as the column `batch_window_ms` has them."""
    if path[-1] == "max_wait" and text.replace(".", "", 1).isdigit():
        return f"{text}ms"
    return yaml.safe_load(text)
