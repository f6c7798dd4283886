"""The engines that are simulated: any number, any mix, in one line or in a small YAML file.

    16xmooncake16
    8xlow_latency,8xhigh_throughput:slower=2
    15xmooncake16,1xmooncake16:slower=5,from=60s        slow without a word from the 60th second on
    8xmooncake16:metrics=silent,token_budget=8192       metrics honest, silent, frozen or garbage; any constant
    8xmooncake16:max_queued=48,retry_after=2s           above so many requests it says 503, with that advice
    8xmooncake16:outage at 60s for 20s,noise 10%        what happens to it, in the words of `course`

    engines:                      # the same and more as a file
      - preset: mooncake16
        count: 15
      - preset: mooncake16
        slower: 5
        from: 60s
        constants: {token_budget: 512}
        happens: [slow x5 from 30s to 90s, outage at 120s]
      - backend: gpu1             # models this backend of routing.yaml
        preset: low_latency

Owns that grammar and which engine stands behind which backend. Knows no scheduler: what is written here is hidden from
it.
"""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from proxy.config.plain import Settings
from proxy.config.source import UnreadableError, read_text
from proxy.config.tree import parse
from proxy.config.written import Duration
from proxy.model.backend import BackendSpec
from proxy.report.forecast import REFUSED_ABOVE
from proxy.sim.engine.course import FACTOR_MAX, STEADY, Course, is_phrase, read_course
from proxy.sim.engine.spec import PRESETS, EngineKind, EngineSpec

MAX_ENGINES = 4096
_CONSTANTS = tuple(field.name for field in fields(EngineSpec) if field.name not in ("kind", "prefix_tokens"))
"""What an entry may change; the two others come from `kind:` and from the traffic."""
DEFAULT_PRESET = "mooncake16"
DEFAULT_ENGINES = f"16x{DEFAULT_PRESET}"


class ClusterError(Exception):
    """The engines cannot be simulated; the message says why."""


class MetricsSource(StrEnum):
    """What the metrics of a backend are worth."""

    HONEST = "honest"
    SILENT = "silent"
    """No answer: the scrape hangs or there are no metrics."""
    FROZEN = "frozen"
    """For ever what they were at the first scrape."""
    GARBAGE = "garbage"
    """Numbers that cannot be."""


@dataclass(frozen=True, slots=True)
class SimBackend:
    """One backend of the world: what the scheduler is told, and what is true."""

    spec: BackendSpec
    engine: EngineSpec
    slower: float = 1.0
    """Its times are those of `engine`, times this…"""
    slower_from_s: float = 0.0
    """…from this second on. Nobody tells the scheduler."""
    metrics: MetricsSource = MetricsSource.HONEST
    course: Course = STEADY
    """What happens to it. Nobody tells the scheduler of this either."""


class EngineEntry(Settings):
    """One line of the file."""

    preset: str = DEFAULT_PRESET
    """Name of the constants to start from."""
    kind: EngineKind | None = None
    """How it batches; null: as the preset does."""
    constants: dict[str, float | int | bool] = Field(default_factory=dict)
    """Constants that differ, by their name in the model (seconds, tokens)."""
    count: Annotated[int, Field(ge=1, le=MAX_ENGINES)] = 1
    """So many alike."""
    backend: str | None = None
    """The backend of routing.yaml it stands behind; null: a backend of its own."""
    name: str | None = None
    """What a backend of its own is called, numbered; null: the preset."""
    pool: str = "default"
    """Of a backend of its own."""
    max_concurrency: Annotated[int, Field(ge=1)] | None = None
    """Permits of a backend of its own."""
    slower: Annotated[float, Field(gt=0, le=FACTOR_MAX)] = 1.0
    """All times, times this…"""
    from_: Annotated[Duration, Field(alias="from")] = 0.0
    """…from this second on."""
    metrics: MetricsSource = MetricsSource.HONEST
    """What its metrics are worth."""
    happens: tuple[str, ...] = ()
    """What happens to it, in words: `outage at 60s for 20s`, `slow x5 from 30s to 90s`, `noise 10%`."""
    retry_after: Duration | None = None
    """What it says with a refusal; null: nothing, as vLLM."""

    def course(self) -> Course:
        """What happens to it. Raises ValueError."""
        return read_course(self.happens, self.retry_after)

    def spec(self) -> EngineSpec:
        """The constants. Raises ValueError when they do not fit together."""
        if self.preset not in PRESETS:
            raise ValueError(f"preset {self.preset!r} is unknown; known: {', '.join(PRESETS)}")
        spec = PRESETS[self.preset]
        for name, value in self.constants.items():
            if name not in _CONSTANTS:
                raise ValueError(f"constant {name!r} is unknown; known: {', '.join(_CONSTANTS)}")
            if not math.isfinite(value) or value < 0:
                raise ValueError(f"constant {name} must be neither negative nor infinite")
            if type(value) is not int and (type(getattr(spec, name)) is int or name == "max_queued"):
                raise ValueError(f"constant {name} is a whole number")
        changes: dict[str, Any] = dict(self.constants)
        spec = replace(spec, **changes)
        return spec.as_kind(self.kind) if self.kind else spec


class CalibrationEntry(Settings):
    """Where the constants come from, as `tidegate calibrate` says; a file written by hand has none."""

    error: Annotated[float, Field(ge=0)]
    """The largest relative error on held-out time, of all its figures."""
    log: tuple[str, ...] = ()
    """Files that it was read from."""
    holdout: float = 0.0
    """Share of the time that nothing was fitted to."""
    requests: dict[str, int] = Field(default_factory=dict)
    """Fitted, judged by, and left out."""
    figures: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Backend, or `all` → figure → relative error; below 0: the model is too fast."""


class EngineFile(Settings):
    """The whole file."""

    calibration: CalibrationEntry | None = None
    """A model that is too far off makes no forecast."""
    engines: Annotated[tuple[EngineEntry, ...], Field(min_length=1)]
    """All engines."""


def read_engines(text: str) -> list[EngineEntry]:
    """A file (by its name) or one line. Raises ClusterError."""
    return list(_understood(text)[0])


def read_calibration(text: str) -> CalibrationEntry | None:
    """Of the same; None: nobody calibrated them. Raises ClusterError."""
    return _understood(text)[1]


def _understood(text: str) -> tuple[Sequence[EngineEntry], CalibrationEntry | None]:
    try:
        if text.endswith((".yaml", ".yml")):
            file = _file(Path(text))
            return file.engines, file.calibration
        return _line(text), None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ClusterError(f"{text}: {place}: {first['msg']}") from None
    except ValueError as error:
        raise ClusterError(f"{text}: {error}") from None


def hashed_by(backends: Iterable[SimBackend], prefix_tokens: int) -> list[SimBackend]:
    """The same, with prompts hashed as the traffic hashes them."""
    return [replace(one, engine=replace(one.engine, prefix_tokens=prefix_tokens)) for one in backends]


def build_cluster(entries: Sequence[EngineEntry], named: Sequence[BackendSpec]) -> list[SimBackend]:
    """Backends of routing.yaml (`named`) and their engines.

    Entries that name backends: those not named get the default constants; without a routing.yaml they are backends of
    those names. Entries that name none are backends of their own, in place of those of routing.yaml. Raises
    ClusterError for a mixture of both.
    """
    placed = {entry.backend for entry in entries if entry.backend is not None}
    if placed and any(entry.backend is None for entry in entries):
        raise ClusterError("either every engine names its backend, or none does")
    try:
        if not placed or not named:
            return _numbered(entries)
        unknown = placed - {spec.name for spec in named}
        if unknown:
            raise ClusterError(f"no backend is named {', '.join(sorted(str(name) for name in unknown))}")
        by_name = {entry.backend: entry for entry in entries}
        return [_sim_backend(spec, by_name.get(spec.name, EngineEntry())) for spec in named]
    except ValueError as error:
        raise ClusterError(str(error)) from None


def all_alike(named: Iterable[BackendSpec]) -> list[SimBackend]:
    """The default engine behind each."""
    return [_sim_backend(spec, EngineEntry()) for spec in named]


def _numbered(entries: Sequence[EngineEntry]) -> list[SimBackend]:
    total = sum(entry.count for entry in entries)
    if total > MAX_ENGINES:
        raise ClusterError(f"{total} engines; at most {MAX_ENGINES}")
    numbers: dict[str, int] = {}
    backends = []
    for entry in entries:
        engine, course = entry.spec(), entry.course()
        name = entry.name or entry.backend or entry.preset
        for _ in range(entry.count):
            numbers[name] = numbers.get(name, 0) + 1
            spec = BackendSpec(
                f"{name}-{numbers[name]}", pool=entry.pool, any_model=True, max_concurrency=entry.max_concurrency
            )
            backends.append(SimBackend(spec, engine, entry.slower, entry.from_, entry.metrics, course))
    return backends


def _sim_backend(spec: BackendSpec, entry: EngineEntry) -> SimBackend:
    return SimBackend(spec, entry.spec(), entry.slower, entry.from_, entry.metrics, entry.course())


def _file(path: Path) -> EngineFile:
    try:
        parsed = parse(read_text(path))
    except UnreadableError as error:
        raise ClusterError(f"{path}: {error.message}") from None
    if parsed.problems:
        first = parsed.problems[0]
        raise ClusterError(f"{path}:{first.position.line}:{first.position.column}: {first.message}")
    if parsed.root is None:
        raise ClusterError(f"{path}: is empty")
    file = EngineFile.model_validate(parsed.root.plain())
    if file.calibration is not None and file.calibration.error > REFUSED_ABOVE:
        raise ClusterError(f"{path}: {_too_far_off(file.calibration)}")
    return file


def _too_far_off(calibration: CalibrationEntry) -> str:
    off = [
        f"{backend} {name} {error:+.0%}"
        for backend, figures in calibration.figures.items()
        for name, error in figures.items()
        if abs(error) > REFUSED_ABOVE
    ]
    return (
        f"these engines are {calibration.error:.0%} off on held-out time, above {REFUSED_ABOVE:.0%}: no forecast is "
        f"made of them ({', '.join(off[:8])})"
    )


def _line(text: str) -> list[EngineEntry]:
    """`8xlow_latency,8xhigh_throughput:slower=2,from=60s`: a part with `=` belongs to the engine before it."""
    found: list[dict[str, Any]] = []
    for part in text.replace(":", ",").split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if is_phrase(part.strip()) and found:
            found[-1].setdefault("happens", []).append(part)
        elif not equals:
            count, _, preset = key.rpartition("x") if key.split("x")[0].isdigit() else ("1", "", key)
            found.append({"preset": preset, "count": int(count), "constants": {}})
        elif not found:
            raise ValueError(f"{part!r} comes before any engine, such as 8xlow_latency")
        elif key in _CONSTANTS:
            found[-1]["constants"][key] = _number(key, value)
        else:
            found[-1][key] = _number(key, value) if key in ("slower", "max_concurrency") else value
    return [EngineEntry.model_validate(one) for one in found]


def _number(key: str, text: str) -> float | int | bool:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, int | float):
        raise ValueError(f"{key}={text} is not a number")
    return value
