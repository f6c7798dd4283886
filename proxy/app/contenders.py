"""What `tidegate simulate` lets play: configurations, policies with options, and the upper mark.

Owns how a word of the command line becomes a contender: its scheduler, its engines, its classes.
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from proxy.config.diagnostics import render
from proxy.config.loader import Loaded, load, load_text
from proxy.config.plain import as_written, read
from proxy.config.schema import Config
from proxy.config.secrets import SecretSource
from proxy.core.tenancy.classify import Classifier
from proxy.model.classes import with_built_in
from proxy.model.scheduling import SchedulingSettings
from proxy.model.units import parse_duration_s
from proxy.model.windows import Windows, WindowSettings
from proxy.report.run import SimulatedRun
from proxy.sim.world.cluster import (
    DEFAULT_ENGINES,
    DEFAULT_PRESET,
    ClusterError,
    EngineEntry,
    SimBackend,
    all_alike,
    build_cluster,
    hashed_by,
    read_engines,
)
from proxy.sim.world.comparison import Contender
from proxy.sim.world.jobs import SeenByProxy
from proxy.sim.world.references import GreedyInformed, PricedInformed, play_reference
from proxy.sim.world.world import World, build_scheduler
from proxy.workload.arrival import Arrival

REFERENCES: dict[str, type[GreedyInformed]] = {"greedy_informed": GreedyInformed, "priced_informed": PricedInformed}
"""Stand among the policies, and are none: they read the engines from inside."""
WINDOW = "window.max_wait"
"""What can be swept beside the options of a policy."""
_FORMERLY = {"reference": "greedy_informed"}
_BUILT_IN = "version: 1\nbackends: [{url: 'http://127.0.0.1:1'}]\n"


class UsageError(Exception):
    """What was asked for cannot be done; the message says why."""


def contenders_of(options: argparse.Namespace, hash_tokens: int) -> list[Contender]:
    """The configuration itself, and what it is compared with; each name once. `hash_tokens`: per prefix hash of the
    traffic."""
    engines = read_engines(options.engines) if options.engines else None
    config = _config(options.file)
    if options.sweep:
        return _swept(options, config, hashed_by(_backends(config, options.file, engines), hash_tokens), hash_tokens)
    words = [options.policy or "", *filter(None, (piece.strip() for piece in options.compare.split(",")))]
    words = [_FORMERLY.get(word, word) for word in words]
    found: dict[str, Contender] = {}
    for word in words:
        file = word if word.endswith((".yaml", ".yml")) else None
        base = _config(file) if file else config
        name = file or word or base.routing.policy
        backends = hashed_by(_backends(base, file or options.file, engines), hash_tokens)
        found.setdefault(
            name, contender_of(name, base, _scheduling(base, None if file else word), backends, hash_tokens)
        )
    return list(found.values())


def _swept(
    options: argparse.Namespace, config: Config, backends: Sequence[SimBackend], hash_tokens: int
) -> list[Contender]:
    """One contender per value of the option."""
    option, _, values = options.sweep.partition("=")
    names = [value.strip() for value in values.split(",")]
    if not option.strip() or not all(names):
        raise UsageError(f"--sweep: write for example {WINDOW}=0,5,20, or an option of --policy")
    found: dict[str, Contender] = {}
    for name in names:
        if option.strip() == WINDOW:
            scheduling, windows = _scheduling(config, options.policy), _fixed_windows(config, name)
        else:
            scheduling, windows = _scheduling(config, f"{options.policy or ''}/{option}={name}"), None
        found.setdefault(name, contender_of(name, config, scheduling, backends, hash_tokens, windows))
    return list(found.values())


def _fixed_windows(config: Config, text: str) -> Windows:
    """Of so many milliseconds (or as a duration) for every class and endpoint; 0: off."""
    try:
        wait_s = parse_duration_s(text if text[-1:].isalpha() else f"{text}ms")
    except ValueError as error:
        raise UsageError(f"--sweep: {error}") from None
    settings = WindowSettings(mode="fixed", max_wait=wait_s) if wait_s else WindowSettings(mode="off")
    return Windows(dict.fromkeys(with_built_in(config.classes), settings))


def _scheduling(config: Config, word: str | None) -> SchedulingSettings | None:
    """Of the configuration, changed by `POLICY/OPTION=VALUE/…`; None: a reference."""
    if word in REFERENCES:
        return None
    policy, *changes = (word or "").split("/")
    settings = as_written(config.scheduling())
    settings["policy"] = policy or config.routing.policy
    for change in changes:
        option, equals, value = change.partition("=")
        *groups, last = option.strip().split(".")
        below = settings
        for group in groups:
            below = below.setdefault(group, {})
        below[last] = _value(value) if equals else None
    try:
        return read(SchedulingSettings, settings)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        hint = f", {', '.join(REFERENCES)}" if first["loc"] == ("policy",) else ""
        raise UsageError(f"{word}: {'.'.join(map(str, first['loc']))}: {first['msg']}{hint}") from None


def _value(text: str) -> Any:
    """A number, true, false or null; anything else is a word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def contender_of(
    name: str,
    config: Config,
    scheduling: SchedulingSettings | None,
    backends: Sequence[SimBackend],
    hash_tokens: int,
    windows: Windows | None = None,
) -> Contender:
    """A configuration before these engines. `scheduling`: instead of its own; None: a reference, by its name."""

    def play(arrivals: Sequence[Arrival], seed: int, progress: Callable[[int], None]) -> SimulatedRun:
        routing = config.routing
        classifier = Classifier(with_built_in(config.classes), routing.rules, routing.bulk_tokens)
        jobs = SeenByProxy(seed, hash_tokens, classifier, windows or _windows(config))
        if scheduling is None:
            return play_reference(backends, arrivals, jobs, progress, seed, REFERENCES[name]())
        scheduler = build_scheduler(backends, None, seed, config.retries, config.hold, config.health, scheduling)
        world = World(
            backends,
            scheduler,
            jobs=jobs,
            probe_interval_s=config.health.probe_interval,
            scrape_interval_s=routing.scrape,
            seed=seed,
        )
        return world.play(arrivals, progress)

    return Contender(name, play, backends)


def _windows(config: Config) -> Windows:
    classes = with_built_in(config.classes)
    return Windows({name: entry.window for name, entry in classes.items()}, config.routing.windows)


def classes_of(file: str | None) -> frozenset[str]:
    """The classes that a configuration knows."""
    return frozenset(with_built_in(_config(file).classes))


def engines_said(options: argparse.Namespace, backends: Sequence[SimBackend]) -> str:
    """What is simulated, and for whom it stands."""
    if not options.engines:
        own = f"{DEFAULT_PRESET} behind each of the {len(backends)} backends of {options.file}"
        return own if options.file else f"{DEFAULT_ENGINES} (the default)"
    if not options.file:
        return str(options.engines)
    own_names = {one.name for one in _config(options.file).backends}
    behind = own_names & {one.spec.name for one in backends}
    what = "behind the backends of" if behind else f"in place of the {len(own_names)} backends of"
    return f"{options.engines}, {what} {options.file}"


def _backends(config: Config, file: str | None, engines: Sequence[EngineEntry] | None) -> list[SimBackend]:
    specs = [backend.spec() for backend in config.backends] if file else []
    if engines is not None:
        return build_cluster(engines, specs)
    return all_alike(specs) if specs else build_cluster(read_engines(DEFAULT_ENGINES), ())


def configured(text: str, name: str = "defaults", folder: Path = Path()) -> Config:
    """What a file with this text says. Raises UsageError."""
    return _right(load_text(text, name, SecretSource(os.environ, folder)))


def backends_of(config: Config, engines: Sequence[EngineEntry]) -> list[SimBackend]:
    """Behind the backends of a configuration, where they name them, else in place of them. Raises ClusterError."""
    specs = [backend.spec() for backend in config.backends]
    if any(entry.backend is not None for entry in engines):
        return build_cluster(engines, specs)
    if len(engines) == 1:
        alike = [engines[0].model_copy(update={"backend": spec.name, "count": 1}) for spec in specs]
        return build_cluster(alike, specs)
    raise ClusterError("either one kind stands behind all backends, or each engine names its backend, in a file")


def _config(file: str | None) -> Config:
    if file is None:
        loaded = load_text(_BUILT_IN, "defaults", SecretSource({}, Path()))
    else:
        loaded = load("-" if file == "-" else Path(file), os.environ, elsewhere=True)
    return _right(loaded)


def _right(loaded: Loaded) -> Config:
    if loaded.config is None:
        raise UsageError("the configuration is wrong\n" + render(loaded.diagnostics, "text", colour=False))
    return loaded.config
