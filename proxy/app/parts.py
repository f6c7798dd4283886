"""The parts of a proxy that are made of options alone."""

import asyncio
import itertools
import os
import random
import secrets
import time
from collections.abc import Callable, Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from time import monotonic

from proxy import __version__
from proxy.app.listeners import StartError
from proxy.app.owners_section import OwnersSection
from proxy.app.slos import Slos
from proxy.app.state_file import Keeper
from proxy.app.steady_clock import SteadyClock
from proxy.config.prompt_files import PromptFileError, read_prompt
from proxy.config.schema import Config
from proxy.config.slos import file_of
from proxy.core.cache.versions import Versions
from proxy.core.retry.fallback_chain import FallbackChain
from proxy.core.route.policies import POLICIES
from proxy.core.scheduler import Scheduler
from proxy.core.tenancy.access import Permitted
from proxy.core.tenancy.classify import Classifier
from proxy.live.background.warmer import Warmer
from proxy.live.cache.remote import RemoteCache
from proxy.live.cache.response_cache import ResponseCache
from proxy.live.catalogue import ModelList
from proxy.live.job_builder import JobBuilder
from proxy.live.owners import Owners
from proxy.live.prompts import Prompts
from proxy.live.tokenizers import Tokenizers
from proxy.live.upstream.backends import Upstream
from proxy.model.classes import with_built_in
from proxy.model.engine_facts import EngineFacts
from proxy.model.parameters import ParameterSettings
from proxy.model.scheduling import CoreSettings
from proxy.model.tenants import OTHERS
from proxy.model.windows import Windows
from proxy.obs.access_log import AccessLog, line_of
from proxy.obs.csv_log import CsvRows
from proxy.obs.genai import Engine, Engines
from proxy.obs.genai_metrics import GenAiMetrics
from proxy.obs.labels import Labels
from proxy.obs.logs import Logs
from proxy.obs.metrics import Metrics
from proxy.obs.otlp import Otlp
from proxy.obs.prefix_digests import KEY_B, PrefixDigests
from proxy.obs.process_metrics import Gauges
from proxy.obs.slo.book import SloBook
from proxy.obs.spans import Spans
from proxy.obs.stage_metrics import StageMetrics
from proxy.obs.telemetry import Telemetry
from proxy.wire.prompts.lint import PrefixLint
from proxy.wire.prompts.named import NamedPrompts
from proxy.wire.trace_context import Tracing


def access_logs(
    config: Config, logs: Logs | None, schedule: Callable[[], None], facts: Callable[[str, str], EngineFacts]
) -> tuple[AccessLog, ...]:
    """Those that somebody wants. `facts`: what is known of the engine of a backend."""
    if logs is None:
        return ()
    made = []
    if config.log.access:
        made.append(AccessLog(line_of(config.log.format, _prefixes(config)), logs.access.offer, time.time, schedule))
    if logs.csv is not None:
        rows = CsvRows(facts)
        made.append(AccessLog(rows.row, logs.csv.offer, time.time, schedule))
    return tuple(made)


@cache
def _digests() -> PrefixDigests:
    """The same as long as the process lives, through all configurations."""
    return PrefixDigests(os.urandom(KEY_B))


def _prefixes(config: Config) -> PrefixDigests | None:
    return _digests() if config.log.prefixes else None


def core_settings(config: Config) -> CoreSettings:
    """What the scheduler is told, beside its backends."""
    return CoreSettings(retries=config.retries, hold=config.hold, health=config.health, scheduling=config.scheduling())


def admin_key(config: Config) -> str:
    """What whoever asks the admin port must say; empty: nothing."""
    return "" if config.admin_key is None else config.admin_key.get_secret_value()


def who_comes_in(config: Config) -> str:
    """In a few words, for the banner."""
    auth, keys = config.auth, sum(len(entry.keys) for entry in config.tenants)
    if not auth.asks:
        return f"no API key is asked for (auth: {auth.mode}{', though tenants have some' if keys else ''})"
    ways = [f"with {keys} API keys of {sum(bool(entry.keys) for entry in config.tenants)} tenants"]
    if auth.header is not None:
        ways = [*(ways if auth.mode == "keys" else ()), f"named by {auth.header} from {', '.join(auth.from_)}"]
    return "clients come in " + " or ".join(ways)


def tracing(config: Config) -> Tracing | None:
    """None: nothing is sent anywhere, and what clients say of traces passes as it comes."""
    if config.telemetry.endpoint is None:
        return None
    return Tracing(random.Random().getrandbits, config.telemetry.sampling)  # noqa: S311 - names of spans, not secrets


def telemetry(config: Config, backends: Mapping[str, Upstream]) -> Telemetry | None:
    """What sends spans and metrics; None: nothing does. StartError where it cannot."""
    settings = config.telemetry
    if settings.endpoint is None:
        return None
    headers = {name: value.get_secret_value() for name, value in settings.headers.items() if value is not None}
    try:
        receiver = Otlp(
            settings.endpoint,
            headers,
            service=settings.service_name,
            version=__version__,
            instance=secrets.token_hex(8),
            timeout_s=settings.timeout,
            started_ns=time.time_ns(),
        )
    except RuntimeError as error:
        raise StartError(str(error)) from error
    engines = _engines(backends)
    return Telemetry(
        receiver,
        Spans(engines, config.routing.policy),
        GenAiMetrics(engines, settings.semconv),
        time.time,
        monotonic,
        settings.interval,
    )


_USUAL_PROVIDER = "openai"
"""Of an engine that nobody recognises: its API is what is known of it."""


def _engines(backends: Mapping[str, Upstream]) -> Engines:
    """Those that there are when somebody asks."""

    def engine(name: str) -> Engine | None:
        backend = backends.get(name)
        return None if backend is None else Engine(*backend.authority, backend.kind or _USUAL_PROVIDER)

    return engine


def scheduler(config: Config) -> Scheduler:
    """With dice of its own."""
    settings = core_settings(config)
    return Scheduler(
        config.specs(),
        scheduling=settings.scheduling,
        retries=settings.retries,
        hold=settings.hold,
        health=settings.health,
        rng=random.Random(),  # noqa: S311 - ties between backends, not secrets
    )


def keeper(config: Config, learned: Scheduler, owners: Owners) -> Keeper | None:
    """What writes down what was learned; None: that is switched off."""
    if config.state == "off":
        return None
    return Keeper(Path(config.state), learned.memento, OwnersSection(owners, time.time, monotonic))


def slos(config: Config) -> Slos:
    """Objectives with a clock and a file."""
    name = file_of(config.slo_state, config.state)
    return Slos(SloBook(config.slos), SteadyClock(time.time, monotonic), None if name is None else Path(name))


def response_cache(config: Config, tokenizers: Tokenizers, loop: asyncio.AbstractEventLoop) -> ResponseCache | None:
    """None: no answer is kept."""
    settings = config.cache
    if not settings.size:
        return None
    versions = Versions(epoch(config), revisions(config))
    remote = second_level(config, versions)
    most_b = config.limits.upstream.event
    return ResponseCache(settings, versions, tokenizers, most_b, loop, monotonic, time.time, remote)


def epoch(config: Config) -> str:
    """What the operator calls the state of things. Fields that are changed on the way are part of it: with others, the
    same requests have other answers."""
    changed = parameters(config)
    changed |= {f"backend {backend.name}": backend.parameters for backend in config.backends if backend.parameters}
    said = config.cache.epoch
    return f"{said} {sha256(repr(sorted(changed.items())).encode()).hexdigest()[:16]}" if changed else said


def parameters(config: Config) -> dict[str, ParameterSettings]:
    """Fields that are changed in requests for a model, by its name."""
    return {model.name: model.parameters for model in config.routing.models if model.parameters}


def revisions(config: Config) -> dict[str, str]:
    """Of models, as the operator says."""
    return {model.name: model.revision for model in config.routing.models if model.revision is not None}


def second_level(config: Config, versions: Versions) -> RemoteCache | None:
    """Of the cache; None: there is none. StartError where it cannot be had."""
    settings = config.cache
    if settings.remote is None:
        return None
    password = None if settings.remote_password is None else settings.remote_password.get_secret_value()
    try:
        return RemoteCache(settings.remote, password, versions, settings.entry, monotonic)
    except (RuntimeError, ValueError) as error:
        raise StartError(str(error)) from error


def job_builder(
    config: Config, models: ModelList, prompts: Prompts, ids: "itertools.count[int] | None" = None
) -> JobBuilder:
    """With the classes, rules and models of the configuration."""
    routing = config.routing
    classes = with_built_in(config.classes)
    classifier = Classifier(classes, routing.rules, routing.bulk_tokens, config.tenants)
    fallbacks = FallbackChain(config.classes, routing.models)
    permitted = Permitted(config.tenants)
    return JobBuilder(
        classifier,
        models,
        routing.default_model,
        fallbacks,
        permitted,
        models.also,
        Windows({name: entry.window for name, entry in classes.items()}, routing.windows),
        prompts,
        foresees=_foresees(config),
        shows_keys=any(backend.api_key is None for backend in config.backends),
        ids=ids,
    )


def metrics(
    config: Config, scheduler: Scheduler, gauges: Callable[[], Gauges], lint: PrefixLint | None, stages: StageMetrics
) -> Metrics:
    """With bounds where something is promised, and the names that labels may have."""
    settings = config.metrics
    return Metrics(
        scheduler,
        gauges,
        monotonic,
        lint,
        stages,
        promises=[entry.slo.promise() for entry in config.classes] + [slo.promise() for slo in config.slos],
        models=model_labels(config, scheduler),
        tenants=Labels(named_tenants(config), settings.tenants),
    )


def model_labels(config: Config, scheduler: Scheduler) -> Labels:
    """Models that are labels: those that the file names, and those that engines list."""
    return Labels(named_models(config), config.metrics.models, scheduler.listed_as)


def validates(config: Config) -> bool:
    """Whether any class does."""
    return any(entry.validate_.answers for entry in config.classes)


def named_models(config: Config) -> list[str]:
    """That the file names."""
    of_backends = (model for backend in config.backends for model in (*(backend.listed_models or ()), *backend.aliases))
    return [*(entry.name for entry in config.routing.models), *of_backends]


def named_tenants(config: Config) -> list[str]:
    """That the file names."""
    names = (*(entry.tenant for entry in config.tenants), *config.routing.fairness.weights)
    return [name for name in names if name != OTHERS]


def gpu_memory_b(config: Config) -> dict[str, int]:
    """Of the backends whose cards are told, of all their cards."""
    told = ((backend.name, backend.kv_cache) for backend in config.backends)
    return {name: cache.memory * cache.tensor_parallel for name, cache in told if cache is not None}


def config_info(config: Config) -> dict[str, str]:
    """What says on /metrics what runs here; secrets are not in it."""
    digest = sha256(config.model_dump_json().encode()).hexdigest()[:8]
    return {"policy": config.routing.policy, "admission": config.routing.admission.mode or "null", "config": digest}


def named_prompts(config: Config) -> NamedPrompts | None:
    """StartError where one cannot be read. None: there are none."""
    found = [(version, prompt) for prompt in config.prompts for version in prompt.versions]
    try:
        read = [(version.version, version.weight, read_prompt(prompt, version)) for version, prompt in found]
    except PromptFileError as error:
        raise StartError(f"Cannot use a file of the prompts: {error}") from error
    return NamedPrompts(read) if read else None


def answers_short_first(config: Config) -> bool:
    """Whether any class or prompt says so."""
    answers = [*(entry.answer for entry in config.classes), *(prompt.answer for prompt in config.prompts)]
    return any(answer.rule() is not None for answer in answers)


def warmer(
    config: Config, named: NamedPrompts | None, loop: asyncio.AbstractEventLoop, before: Warmer | None = None
) -> Warmer | None:
    """What asks engines for the prompts of the file; None: for none."""
    warm = frozenset(config.warm.prompts)
    served = {f"{p.name}@{v.version}" for p in config.prompts if p.name in warm for v in p.versions if v.weight}
    templates = [template for template in named or () if template.label in served]
    return Warmer(config.warm, templates, config.limits.upstream, loop, before) if templates else None


def _foresees(config: Config) -> bool:
    """Whether anybody looks at predictions, or at how prompts begin: else nothing is done for them."""
    routing = config.routing
    mode = routing.admission.mode
    hedges = any(entry.hedge.rule() is not None for entry in config.classes)
    return config.log.prefixes or hedges or POLICIES[routing.policy].foresees or mode not in (None, "off")


def id_maker() -> Callable[[], str]:
    """Request ids that are unique across restarts and cheap: a random prefix and a counter."""
    prefix = f"req-{secrets.token_hex(6)}-"
    numbers = itertools.count(1)
    return lambda: f"{prefix}{next(numbers):x}"
