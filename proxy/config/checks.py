"""Rules between options: what is wrong although every single value is right.

Works on groups that are valid by themselves, so that these findings appear beside all others, not one run later.
Owns no position in a file: a finding names a path, and `loader` finds its line.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from proxy.config.auth import auth_findings, named_findings
from proxy.config.backend import BackendOptions, served_names
from proxy.config.cache import CacheOptions, cache_findings, salt_findings
from proxy.config.diagnostics import Severity
from proxy.config.fallbacks import fallback_findings
from proxy.config.finding import Finding
from proxy.config.listeners import listener_findings
from proxy.config.options import OptionPath
from proxy.config.parameters import parameter_findings
from proxy.config.pipeline import pipeline_findings
from proxy.config.refusal import quoted, which_there_are
from proxy.config.rules import rule_findings
from proxy.config.series import series_findings
from proxy.config.slos import slo_findings
from proxy.config.store import store_findings
from proxy.config.telemetry import telemetry_findings
from proxy.config.tenants import class_findings, model_findings, tenant_findings
from proxy.config.unique import unique_findings
from proxy.config.workers import worker_findings
from proxy.model.classes import ClassSettings, with_built_in
from proxy.model.limits import HealthSettings, Limits
from proxy.model.metrics import MetricsSettings
from proxy.model.store import StoreSettings
from proxy.model.units import format_duration, format_size
from proxy.model.windows import WindowSettings


def cross_check(groups: Mapping[str, Any], backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    """Every broken rule among the valid top-level groups and the valid backends, by their place in the list."""
    yield from listener_findings(groups, backends)
    yield from _logs(groups.get("log"))
    yield from telemetry_findings(groups.get("telemetry"))
    yield from unique_findings(groups, backends)
    yield from _aliases(backends)
    yield from _overrides(backends)
    yield from _tls(backends)
    yield from _resolving(backends)
    yield from _capacity(backends)
    if "routing" in groups and backends:
        yield from _default_model(groups["routing"].default_model, backends)
    classes: tuple[ClassSettings, ...] | None = groups.get("classes")
    known = None if classes is None else frozenset(with_built_in(classes))
    if "routing" in groups:
        yield from _routing(groups["routing"], classes or (), known, backends)
    yield from _tenancy(groups, classes or (), backends)
    if isinstance(cache := groups.get("cache"), CacheOptions):
        yield from cache_findings(cache, classes or (), groups.get("routing"), groups.get("limits"), backends)
    if isinstance(store := groups.get("store"), StoreSettings):
        yield from store_findings(store)
    yield from worker_findings(groups)
    yield from salt_findings(backends)
    yield from _bias(known, backends)
    yield from _order(backends)
    yield from _tokenizers(groups.get("tokenizers") or (), backends if "routing" in groups else {})
    for index, entry in enumerate(classes or ()):
        yield from _promises(index, entry)
        yield from _hedge(index, entry)
        yield from _window(("classes", index, "window"), entry.window)
    if isinstance(metrics := groups.get("metrics"), MetricsSettings) and "routing" in groups and classes is not None:
        of_tenants, of_slos = groups.get("tenants") or (), groups.get("slos") or ()
        yield from series_findings(classes, backends.values(), groups["routing"], of_tenants, metrics, of_slos)
    served = served_names(backends) if backends and "routing" in groups else None
    yield from slo_findings(groups.get("slos") or (), classes or (), known, served)
    yield from pipeline_findings(classes or (), groups.get("stages") or ())
    yield from parameter_findings(backends, getattr(groups.get("routing"), "models", ()))
    yield from _warm(groups)
    if isinstance(limits := groups.get("limits"), Limits):
        yield from _limits(limits)
    if isinstance(health := groups.get("health"), HealthSettings):
        yield from _health(health)


def _routing(
    routing: Any,
    classes: tuple[ClassSettings, ...],
    known: frozenset[str] | None,
    backends: Mapping[int, BackendOptions],
) -> Iterator[Finding]:
    yield from rule_findings(routing.rules, known, backends)
    yield from fallback_findings(classes, routing.models, backends)
    for index, entry in enumerate(routing.windows):
        yield from _window(("routing", "windows", index), entry)


def _resolving(backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    for index, backend in backends.items():
        path: OptionPath = ("backends", index)
        if backend.resolve != "one" and backend.ip is not None:
            yield Finding((*path, "resolve"), "nothing is looked up where ip is given", "leave one of the two out")
        if backend.address.socket and (backend.resolve != "one" or backend.ip is not None):
            option = "ip" if backend.ip is not None else "resolve"
            yield Finding((*path, option), "a Unix socket has no name and no address", f"leave {option} out")


def _logs(log: Any) -> Iterator[Finding]:
    if log is None:
        return
    if log.file is not None and log.file == log.csv:
        yield Finding(("log", "csv"), "is log.file too: lines of two logs would go into one file", "name another one")
    if log.file is not None and not log.access:
        yield Finding(("log", "file"), "has no effect: log.access is false", "leave it out", Severity.WARNING)
    if log.prefixes and log.format != "json":
        yield Finding(("log", "prefixes"), "has no effect: only JSON lines have them", "format: json", Severity.WARNING)


def _tenancy(
    groups: Mapping[str, Any], classes: tuple[ClassSettings, ...], backends: Mapping[int, BackendOptions]
) -> Iterator[Finding]:
    tenants, auth, routing = groups.get("tenants"), groups.get("auth"), groups.get("routing")
    if auth is not None:
        yield from auth_findings(auth, tenants, groups.get("listen"), backends)
    if tenants is None:  # not understood: nothing can be said of whose keys there are
        return
    yield from tenant_findings(tenants)
    if "classes" in groups:
        yield from class_findings(tenants, frozenset(with_built_in(classes)))
    if routing is not None:
        served = served_names(backends) if backends else None
        yield from model_findings(tenants, served, routing.default_model, routing.models, classes)
        yield from named_findings(tenants, auth, routing)


def _aliases(backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    for index, backend in backends.items():
        listed = backend.listed_models
        for public, own in backend.aliases.items():
            path: OptionPath = ("backends", index, "aliases", public)
            if listed is not None and own not in listed:
                hint = which_there_are(own, listed)
                yield Finding(path, f"{quoted(own)} is not among this backend's models", hint, Severity.WARNING)


def _overrides(backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    for index, backend in backends.items():
        for name in ("connect", "first_byte", "idle"):
            if getattr(backend, name) == 0:
                yield Finding(("backends", index, name), "must be above 0: nothing would get through")


def _tls(backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    for index, backend in backends.items():
        if "tls" in backend.model_fields_set and backend.address.scheme != "https":
            hint = "write https:// in url, or leave tls out"
            yield Finding(("backends", index, "tls"), "has no meaning for an http:// backend", hint)
        elif not backend.tls.verify and backend.tls.ca_file is not None:
            message = "has no effect: verify is false, so that no certificate is checked"
            yield Finding(("backends", index, "tls", "ca_file"), message, "leave verify out", Severity.WARNING)


def _bias(classes: frozenset[str] | None, backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    for index, backend in backends.items():
        for name in backend.bias:
            if classes is not None and name not in classes:
                hint = which_there_are(name, classes)
                yield Finding(("backends", index, "bias", name), f"there is no class {quoted(name)}", hint)


def _order(backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    """A higher order than everybody's waits for nobody."""
    lowest = min([backend.order for backend in backends.values()], default=0)
    for index, backend in backends.items():
        if backend.order and lowest == backend.order == max(b.order for b in backends.values()):
            message = f"has no effect: all backends have the order {backend.order}"
            hint = "those without it have 0 and come first"
            yield Finding(("backends", index, "order"), message, hint, Severity.WARNING)
            return


def _tokenizers(models: Iterable[str], backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    served = served_names(backends) if backends else None
    for model in models:
        if served is not None and model not in served:
            message, hint = f"no backend serves {quoted(model)}", which_there_are(model, served)
            yield Finding(("tokenizers", model), message, hint, Severity.WARNING)


def _capacity(backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    for index, backend in backends.items():
        if backend.kv_tokens is not None and backend.kv_cache is not None:
            message = f"is {backend.kv_tokens}, while kv_cache gives {backend.kv_cache.tokens}"
            yield Finding(("backends", index, "kv_tokens"), message, "write one of the two")


def _default_model(wanted: str | None, backends: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    names = served_names(backends)
    if wanted is not None and names is not None and wanted not in names:
        hint = which_there_are(wanted, names)
        yield Finding(("routing", "default_model"), f"no backend serves {quoted(wanted)}", hint)


def _promises(index: int, entry: ClassSettings) -> Iterator[Finding]:
    path: OptionPath = ("classes", index, "slo")
    for name in ("ttft", "tpot", "e2e", "deadline"):
        if getattr(entry.slo, name) == 0:
            yield Finding((*path, name), "must be above 0: it could never be kept")
    promise = entry.slo.promise()
    if promise.ttft_s and promise.deadline_s and promise.deadline_s < promise.ttft_s:
        message = f"is sooner than the first token is promised ({format_duration(promise.ttft_s)})"
        yield Finding((*path, "deadline"), message, severity=Severity.WARNING)


def _hedge(index: int, entry: ClassSettings) -> Iterator[Finding]:
    if entry.is_bulk and entry.hedge.rule() is not None:
        text = "has no effect: bulk is never sent to two backends"
        yield Finding(("classes", index, "hedge"), text, "leave it out", Severity.WARNING)


def _warm(groups: Mapping[str, Any]) -> Iterator[Finding]:
    if "warm" not in groups or "prompts" not in groups:
        return
    known = [prompt.name for prompt in groups["prompts"]]
    for index, name in enumerate(groups["warm"].prompts):
        if name not in known:
            hint = which_there_are(name, known)
            yield Finding(("warm", "prompts", index), f"there is no prompt {quoted(name)}", hint)
    if groups["warm"].prompts and not groups["warm"].timeout:
        yield Finding(("warm", "timeout"), "must be above 0: nothing would be computed")


def _window(path: OptionPath, window: WindowSettings | None) -> Iterator[Finding]:
    if window is not None and window.mode == "fixed" and window.max_wait >= LONG_WINDOW_S:
        text = f"is long: a request that has no company waits {format_duration(window.max_wait)} for it"
        yield Finding((*path, "max_wait"), text, "10ms is usual; or mode: adaptive", Severity.WARNING)


LONG_WINDOW_S = 1.0
_ABOVE_ZERO: tuple[OptionPath, ...] = (
    ("head", "total"),
    ("head", "field"),
    ("head", "target"),
    ("head", "timeout"),
    ("body", "size"),
    ("body", "stall"),
    ("body", "timeout"),
    ("connections", "idle"),
    ("connections", "write_stall"),
    ("connections", "buffer_high"),
    ("upstream", "connect"),
    ("upstream", "first_byte"),
    ("upstream", "idle"),
    ("upstream", "event"),
)
"""Limits that let nothing through at 0. The others mean "none" or "at once" then."""


def _limits(limits: Limits) -> Iterator[Finding]:
    for group, name in _ABOVE_ZERO:
        if getattr(getattr(limits, str(group)), str(name)) == 0:
            yield Finding(("limits", group, name), "must be above 0: nothing would get through")
    if limits.head.field > limits.head.total:
        total = format_size(limits.head.total)
        yield Finding(("limits", "head", "field"), f"must not be above limits.head.total ({total})")
    if limits.memory.shed_bulk > limits.memory.shed:
        message = f"must not be above limits.memory.shed ({limits.memory.shed:g}): bulk goes first"
        yield Finding(("limits", "memory", "shed_bulk"), message)
    if limits.connections.buffer_low >= limits.connections.buffer_high:
        high = format_size(limits.connections.buffer_high)
        yield Finding(("limits", "connections", "buffer_low"), f"must be below limits.connections.buffer_high ({high})")


def _health(health: HealthSettings) -> Iterator[Finding]:
    if health.eject > health.eject_max:
        most = format_duration(health.eject_max)
        yield Finding(("health", "eject"), f"must not be above health.eject_max ({most})")
    for name in ("window", "eject", "probe_interval", "probe_timeout"):
        if not getattr(health, name):
            yield Finding(("health", name), "must be above 0")
    if 0 < health.probe_interval < 2:
        message = "llama.cpp frees abandoned work late when it is polled more than once a second"
        yield Finding(("health", "probe_interval"), message, "do not go below 2s", Severity.WARNING)
