"""What is found out before a run: the targets, the proxy's configuration and engines, and what rows will say of them.

Owns which facts go where: what the admin port of a proxy tells of its engines becomes hardware, precision and memory.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from proxy.bench.admin import Admin, AdminError, admin_of
from proxy.bench.answer import Kind
from proxy.bench.details import Side
from proxy.bench.machine import machine
from proxy.bench.options import Options
from proxy.bench.recorder import Gauges
from proxy.bench.run_file import Machine, Target
from proxy.bench.spec import TargetSpec
from proxy.bench.sweep import MODEL
from proxy.bench.target import Found, find_out, is_here
from proxy.config.loader import load
from proxy.model.endpoint import Endpoint
from proxy.model.windows import Windows

GAUGES_S: Final = 1.0
DEFAULT_ADMIN: Final = "http://127.0.0.1:9090"
_OWNERS: Final = {"library": "ollama", "llamacpp": "llama.cpp", "openai": "", "system": "", "organization-owner": ""}
_ENDPOINTS: Final[dict[Kind, Endpoint]] = {
    "chat": Endpoint.CHAT,
    "completion": Endpoint.COMPLETIONS,
    "embeddings": Endpoint.EMBEDDINGS,
}
_SIDES: Final[dict[Side, str]] = {"url": "here", "direct": "there"}
"""Words in front of the prompts of a pair, so that neither target finds the other's prompts in a cache."""


@dataclass(slots=True)
class Survey:
    """All of it."""

    targets: dict[Side, Target]
    found: dict[Side, Found]
    machine: Machine
    admin: Admin | None = None
    config_hash: str = ""
    config_file: Path | None = None
    """None: it is not on this machine, or there is none."""
    classes: tuple[str, ...] = ()
    seats: dict[str, int] = field(default_factory=dict)
    gauges: Gauges = field(default_factory=Gauges)
    notes: list[str] = field(default_factory=list)

    def spec(self, options: Options, side: Side, model: str, salt: str = "") -> TargetSpec:
        """Of one target in a cell; `salt`: of the cell, and with it a word that tells a pair apart."""
        found = self.found[side]
        word = _SIDES[side] if options.is_paired and salt else ""
        return TargetSpec(
            url=options.urls[side],
            model=model or options.model or (found.models[0] if found.models else ""),
            headers=options.headers.get(side, {}),
            insecure=options.insecure,
            includes_usage=found.includes_usage,
            ignores_end=options.ignores_end,
            salt=f"{salt} {word}".strip(),
            sends_class="bulk" in self.classes and found.is_tidegate,
        )

    def hardware(self, options: Options) -> str:
        """As rows of servers call it that do not say it themselves."""
        told = sorted({one["hardware"] for one in self.gauges.facts.values() if one.get("hardware")})
        here = f"{self.machine.cores}x {self.machine.cpu}" if self.machine.targets_here else ""
        return options.hardware or " + ".join(told) or here

    def precision(self, options: Options) -> str:
        """The same; empty where engines differ."""
        told = {one["precision"] for one in self.gauges.facts.values() if one.get("precision")}
        return options.precision or (told.pop() if len(told) == 1 else "")

    async def watch(self) -> None:
        """Keeps the memory of cards up to date, until it is cancelled."""
        while self.admin is not None:
            with suppress(AdminError):
                self._take(await self.admin.status())
            await asyncio.sleep(GAUGES_S)

    def _take(self, status: dict[str, Any]) -> None:
        backends = status.get("backends")
        for name, backend in (backends if isinstance(backends, dict) else {}).items():
            engine = backend.get("engine") or {}
            self.gauges.facts[name] = {
                key: value
                for key, value in {
                    "kind": str(engine.get("kind") or ""),
                    "version": str(engine.get("version") or ""),
                    "precision": str(engine.get("precision") or ""),
                    "hardware": str(engine.get("hardware") or engine.get("gpu") or ""),
                }.items()
                if value
            }
            self.gauges.memory_gb[name] = (_gb(engine.get("gpu_memory_b")), _gb(engine.get("gpu_reserved_b")))
            if isinstance(backend.get("seats"), int):
                self.seats[name] = backend["seats"]


async def survey(options: Options, kind: Kind) -> Survey:
    """Raises TargetError."""
    models = next((axis.values for axis in options.axes if axis.key == MODEL), (options.model,) * bool(options.model))
    found = {
        side: await find_out(
            url, options.headers.get(side, {}), kind, models, insecure=options.insecure, probe=options.probe
        )
        for side, url in options.urls.items()
    }
    here = all(map(is_here, options.urls.values()))
    targets = {side: _target(options, side, one) for side, one in found.items()}
    seen = Survey(targets, found, machine(targets_here=here))
    seen.notes = [note for one in found.values() for note in one.notes]
    if found["url"].is_tidegate:
        await _ask_admin(options, seen)
    return seen


async def _ask_admin(options: Options, seen: Survey) -> None:
    url = options.admin or (DEFAULT_ADMIN if is_here(options.urls["url"]) else "")
    told = await admin_of(url, options.admin_headers, options.urls["url"]) if url else None
    if told is None:
        seen.notes.append(f"the proxy's admin port was not found{f' at {url}' if url else ''}: --admin URL names it")
        return
    seen.admin, status = told
    seen._take(status)
    target = seen.targets["url"]
    target.version, target.engines = str(status.get("version") or ""), dict(seen.gauges.facts)
    seen.classes = tuple(status.get("classes") or ())
    config = status.get("config") or {}
    seen.config_hash = str(config.get("hash") or "")
    source = str(config.get("source") or "")
    seen.config_file = _file_here(source, seen.config_hash) if is_here(seen.admin.url) else None


def _file_here(source: str, digest: str) -> Path | None:
    """A path of a container may be that of another file here: it is the proxy's only if it holds what that has read."""
    path = Path(source)
    return path if path.is_file() and load(path, {}, elsewhere=True).digest == digest else None


def _target(options: Options, side: Side, found: Found) -> Target:
    url = options.urls[side]
    owner = _OWNERS.get(found.owner, found.owner)
    name = options.names.get(side) or ("tidegate" if found.is_tidegate else owner or url.partition("://")[2])
    return Target(url=url, server=name, version=found.server, is_tidegate=found.is_tidegate)


def windows_of(file: Path | None, kind: Kind) -> dict[str, str]:
    """The windows of a configuration, by class, for requests of that kind; empty: it is not known."""
    loaded = load(file, {}, elsewhere=True) if file is not None else None
    if loaded is None or loaded.config is None:
        return {}
    config = loaded.config
    windows = Windows({one.name: one.window for one in config.classes}, config.routing.windows)
    found = {}
    for one in config.classes:
        rule = windows.of(one.name, _ENDPOINTS[kind])
        way = "off" if rule is None else f"{'adaptive' if rule.adaptive else 'fixed'} {rule.max_wait_s * 1e3:g}ms"
        found[f"window of {one.name}"] = way
    return found


def window_ms(windows: dict[str, str], settings: tuple[tuple[str, str], ...]) -> float | None:
    """What was swept, else what all classes agree on; None: there is no window."""
    for key, value in settings:
        if key.endswith("window.max_wait"):
            return _milliseconds(value)
    agreed = set(windows.values())
    only = agreed.pop() if len(agreed) == 1 else "off"
    return None if only == "off" else _milliseconds(only.split(" ")[-1])


def _milliseconds(text: str) -> float | None:
    from proxy.model.units import parse_duration_s

    try:
        return float(text) if text.replace(".", "", 1).isdigit() else float(parse_duration_s(text)) * 1e3
    except ValueError:
        return None


def _gb(value: Any) -> float | None:
    return value / 1e9 if isinstance(value, int | float) else None
