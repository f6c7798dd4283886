"""The configuration as a typed, frozen tree.

Composes the limits of `proxy.model.limits`, so that no default is written twice. Owns the groups and their names;
the rules across groups are in `checks`, lines and columns in `loader`.
"""

import re
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator

from proxy.config.address import ListenAddress
from proxy.config.backend import BackendOptions, ModelName, with_unique_names
from proxy.config.cache import CacheOptions
from proxy.config.checks import cross_check
from proxy.config.console import ConsoleSettings
from proxy.config.diagnostics import Severity
from proxy.config.fallbacks import kept_pools
from proxy.config.forwarded import ForwardedHeader
from proxy.config.fragments import IncludePattern
from proxy.config.plain import PLAIN, Settings, short
from proxy.config.refusal import quoted, refusal
from proxy.config.secrets import SecretReference
from proxy.config.server_tls import ServerTlsSettings
from proxy.config.telemetry import TelemetrySettings
from proxy.config.written import Duration, Network, Size
from proxy.model.auth import MAX_NETWORKS, AuthSettings
from proxy.model.backend import BackendSpec
from proxy.model.classes import ClassSettings
from proxy.model.fallback import ModelSettings
from proxy.model.limits import DrainSettings, HealthSettings, HoldSettings, Limits, RetrySettings
from proxy.model.metrics import MetricsSettings
from proxy.model.prompts import PromptSettings, WarmSettings
from proxy.model.realtime import RealtimeSettings
from proxy.model.rules import MAX_RULES, RuleSettings
from proxy.model.scheduling import DEFAULT_POLICY, DispatchSettings, PolicyName, SchedulingSettings
from proxy.model.slos import MAX_SLOS, ServiceLevelObjective
from proxy.model.store import StoreSettings
from proxy.model.tenants import MAX_TENANT_ENTRIES, TenantSettings
from proxy.model.timings import NAME_PATTERN, StageSettings, TimingSettings
from proxy.model.units import MIB
from proxy.model.windows import EndpointWindow

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]

MAX_BACKENDS = 1024
MAX_WORKERS = 64
_MAX_FORWARDED = 256


MAX_CLASSES = 32
MAX_TOKENIZERS = 64
MAX_MODELS = 256
MAX_PROMPTS = 64
MAX_WINDOWS = 32
MAX_STAGES = 32


def _usable_prompts(prompts: tuple[PromptSettings, ...]) -> tuple[PromptSettings, ...]:
    for prompt in prompts:
        versions = [one.version for one in prompt.versions]
        if len(set(versions)) < len(versions):
            raise refusal(f"the prompt {prompt.name} has two versions of one name")
        if not any(one.weight for one in prompt.versions):
            raise refusal(
                f"no version of the prompt {prompt.name} has a weight above 0", "write weight: 1 for one of them"
            )
    return prompts


_LOG_PATH = r"[^\x00:]*[./][^\x00:]*"


def _log_path(name: str) -> str:
    """With a dot or a slash: who writes `log: json` means no file of that name."""
    if not re.fullmatch(_LOG_PATH, name):
        raise refusal(f"{quoted(name)} is not the path of a file", "write it with its folder: /var/log/tidegate/NAME")
    return name


LogPath = Annotated[
    str,
    Field(max_length=4096, json_schema_extra={"pattern": f"^{_LOG_PATH}$"}),
    AfterValidator(_log_path),
]
_LONGEST_SETTLE_S = 60.0


def _settle(value: float) -> float:
    if value > _LONGEST_SETTLE_S:
        raise refusal("must be at most 1m", "some 100ms are enough for editors; 2s for a slow file system")
    return value


class LogSettings(Settings):
    """Access lines go to standard output or to files, the rest to standard error. Never a prompt, an answer or a key.
    SIGUSR1 has the files opened anew."""

    level: LogLevel = "info"
    """Least important level that is shown."""
    format: LogFormat = "text"
    """Lines for people, or one JSON object per line for machines."""
    access: bool = True
    """One line per request."""
    prefixes: bool = False
    """JSON lines say which beginning a prompt shares with others of the same tenant, by keyed digests that are good for
    one run of the proxy: `simulate`, `plan`, `tune` and `calibrate` then know what another routing would find in the
    engines' caches."""
    file: LogPath | None = None
    """File for the access lines instead of standard output, relative to the working directory. null: none."""
    csv: LogPath | None = None
    """File for one CSV row per request, with the columns of the benchmark's and the end-code. null: none."""
    rotate: Size = 100 * MIB
    """A log file that would become larger is renamed to NAME.1, and a new one begun. 0: never."""
    keep: Annotated[int, Field(ge=1, le=1000)] = 5
    """Files that were put aside, of each log; older ones are removed."""


SOONEST_SCRAPE_S = 2.0


def _scrape(value: float) -> float:
    if 0 < value < SOONEST_SCRAPE_S:
        raise refusal("is too often", "2s or more: llama.cpp frees abandoned work late when it is polled more often")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingSettings(DispatchSettings):
    """Which backend gets a job, which jobs wait and which are refused."""

    policy: PolicyName = DEFAULT_POLICY
    """`goodput`: most tokens in time, by predictions that are learned. The others are there to compare with:
    `round_robin`, `random`, `power_of_two`, `least_outstanding`, `prefix_cache_aware`, `weighted_scores`, `kv_cost`,
    `least_pending_prefill`."""
    rules: Annotated[tuple[RuleSettings, ...], Field(max_length=MAX_RULES)] = ()
    """Traffic class and backends by what a request is; the first that fits decides. Where none does: the header
    `x-tidegate-class`, then `service_tier` (`priority`, `flex`), then `bulk_tokens`."""
    bulk_tokens: Annotated[int, Field(ge=1)] | None = 2048
    """Whole answers (no streams) without any promise are bulk when they are expected to be so long: asking for so many,
    or usually so long. null: none is."""
    scrape: Annotated[Duration, AfterValidator(_scrape)] = 5.0
    """Pause between two readings of a backend's metrics, which correct what is known from traffic and tell of engines
    that sleep. 0: never."""
    prefix_lint: bool = True
    """Looks at a few of the prompts for what changes at their front, which spoils every engine's prefix cache: in
    metrics and in `tidegate prefix report`."""
    models: Annotated[tuple[ModelSettings, ...], Field(max_length=MAX_MODELS)] = ()
    """What is special about single models."""
    windows: Annotated[tuple[EndpointWindow, ...], Field(max_length=MAX_WINDOWS)] = ()
    """How long jobs of single endpoints wait for others to go with them, where their class does not say."""
    default_model: ModelName | None = None
    """Model of a request that names none. null: the only model there is, else 400."""


class ReloadSettings(Settings):
    """How this file is read anew while the proxy runs. SIGHUP and `tidegate reload` do it at any time."""

    watch: bool = True
    """When this file changes, or one that it names, all are read anew. false: only when that is asked for."""
    settle: Annotated[Duration, AfterValidator(_settle)] = 0.5
    """For so long nothing may have changed in them: editors write in steps."""


class HeaderSettings(Settings):
    """Request headers on their way to the backend, which are forwarded by allow-list."""

    forward: Annotated[tuple[ForwardedHeader, ...], Field(max_length=_MAX_FORWARDED)] = ()
    """Request headers to forward beside the usual ones: names in lower case, or a prefix such as `x-sim-*`."""
    client: Literal["off", "x-forwarded-for", "forwarded"] = "off"
    """Header in which engines are told where a request came from; `forwarded` is that of RFC 7239."""
    trust: Annotated[tuple[Network, ...], Field(max_length=MAX_NETWORKS)] = ()
    """Addresses of proxies in front, such as `10.0.0.0/8`: what they say in that header is kept, and extended. What
    anybody else says there is left out."""


_ROUTE = r"/[A-Za-z0-9._~/-]{0,255}\*?"


class RouteSettings(Settings):
    """Routes on the data port beside the listed ones."""

    forward: Annotated[tuple[Annotated[str, Field(pattern=rf"^{_ROUTE}$")], ...], Field(max_length=_MAX_FORWARDED)] = ()
    """More paths to pass to the engines as they are, such as `/api/chat`, or prefixes such as `/v1/*`. Passed are
    OpenAI's API, Anthropic's messages and what the backends' kinds of engines offer to clients. Their management
    (`/v1/load_lora_adapter`, `/sleep`) is passed only when it is named here: to anybody who reaches this port."""


_ORIGIN = r"https?://[a-z0-9.\[\]:-]{1,255}"
_ORIGIN_RE = re.compile(_ORIGIN, re.ASCII)


def _origin(text: str) -> str:
    if text != "*" and not _ORIGIN_RE.fullmatch(text):
        hint = "write it as a browser does, in lower case and without a path: https://app.example.com; or * for any"
        raise refusal(f"{quoted(text)} is not an origin", hint)
    return text


class CorsSettings(Settings):
    """Which pages a browser lets read our answers. Their API key is in the page: mind who can open it."""

    origins: Annotated[
        tuple[Annotated[str, AfterValidator(_origin), Field(json_schema_extra={"pattern": rf"^({_ORIGIN}|\*)$"})], ...],
        Field(max_length=256),
    ] = ()
    """Such as `https://app.example.com`, with the port where it is not the usual one; `*`: any. None: no page's."""
    max_age: Duration = 600.0
    """For so long a browser need not ask again whether it may send a request."""


def _whole_number(value: Any) -> Any:
    """To Python, and so to Literal, true and 1.0 are 1."""
    if isinstance(value, bool | float):
        raise refusal("must be 1")
    return value


WorkerCount = Annotated[int, Field(ge=1, le=MAX_WORKERS)] | Literal["auto"]
StageName = Annotated[str, Field(pattern=NAME_PATTERN)]
StatePath = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]


class Config(Settings):
    """The whole configuration of one Tidegate."""

    model_config = ConfigDict(hide_input_in_errors=True, title="Tidegate configuration")

    version: Annotated[Literal[1], BeforeValidator(_whole_number)]
    """Version of this format."""
    listen: ListenAddress = "127.0.0.1:8080"
    """Where clients connect, host:port. Port 0 lets the system choose."""
    admin: ListenAddress = "127.0.0.1:9090"
    """Where the page is (/), and /status, /livez, /readyz, /metrics, /explain, /prefix, /slo and /config. Keep it away
    from clients."""
    workers: WorkerCount = 1
    """Processes that serve `listen`: one core each. The first one decides for all, and has `admin`, the metrics and the
    logs; `auto`: as many as this process may use cores. `limits.memory.limit` and `limits.connections.max` are those of
    all together. With several there is no `store`, no `cache`, no short answers (`answer`), no `validate`, no timing
    of single requests (`timings.keep`), and what engines keep is known to the worker that saw it unless `cache.remote`
    shares it."""
    admin_key: SecretReference = None
    """What whoever asks `admin` must say as `Authorization: Bearer`, or in a browser as the password, but for /livez
    and /readyz. null: nothing, and only from this machine itself may anything be changed there."""
    console: ConsoleSettings = ConsoleSettings()
    """The page on the admin port, and by which names that port may be asked."""
    tls: ServerTlsSettings = ServerTlsSettings()
    """TLS towards clients."""
    auth: Annotated[AuthSettings, PLAIN, short(AuthSettings, "mode")] = AuthSettings()
    """Who may come in; its mode alone may be written for it."""
    tenants: Annotated[tuple[Annotated[TenantSettings, PLAIN], ...], Field(max_length=MAX_TENANT_ENTRIES)] = ()
    """Whose keys are whose, and what each may use."""
    log: LogSettings = LogSettings()
    """What is logged."""
    metrics: Annotated[MetricsSettings, PLAIN] = MetricsSettings()
    """What is counted."""
    telemetry: TelemetrySettings = TelemetrySettings()
    """What a collector of OpenTelemetry is sent."""
    backends: Annotated[
        tuple[BackendOptions, ...], Field(min_length=1, max_length=MAX_BACKENDS), AfterValidator(with_unique_names)
    ]
    """The engines behind this proxy."""
    include: IncludePattern | None = None
    """Files with more `backends:`, and nothing else in them, such as `backends.d/*.yaml`: relative to this file, in the
    order of their names, behind those that stand here. null: none."""
    routing: Annotated[RoutingSettings, PLAIN] = RoutingSettings()
    """Which backend gets a job."""
    classes: Annotated[tuple[Annotated[ClassSettings, PLAIN], ...], Field(max_length=MAX_CLASSES)] = ()
    """Traffic classes: kinds of requests that are treated alike."""
    cache: Annotated[CacheOptions, PLAIN] = CacheOptions()
    """Answers that are kept in memory and given again to the same request; `size` switches it on."""
    prompts: Annotated[
        tuple[Annotated[PromptSettings, PLAIN], ...], Field(max_length=MAX_PROMPTS), AfterValidator(_usable_prompts)
    ] = ()
    """Named prompts with versions, which are put in front of what clients send."""
    warm: Annotated[WarmSettings, PLAIN] = WarmSettings()
    """Named prompts that an engine computes before it takes traffic."""
    tokenizers: Annotated[dict[ModelName, str], Field(max_length=MAX_TOKENIZERS)] = Field(default={})
    """Model: its Hugging Face tokenizer.json, relative to the working directory, or a vocabulary of OpenAI's such as
    `o200k_base.tiktoken`. Tells token borders where an engine does not; families such as gpt-4o and qwen3 are known
    without a file."""
    stages: Annotated[dict[StageName, Annotated[StageSettings, PLAIN]], Field(max_length=MAX_STAGES)] = Field(
        default={}
    )
    """Stages of the pipeline around the models by name, each with its budget: those that clients report in
    `x-tidegate-stages`, such as `retrieval`, and those measured here: `queue`, `window`, `prefill`, `decode`, `engine`,
    `post_process`, `repair`, `total`. Others that clients report are one in metrics, `other`."""
    timings: Annotated[TimingSettings, PLAIN] = TimingSettings()
    """What clients are told of where their time went."""
    state: StatePath = "off"
    """File in which what is learned outlives a restart, such as /var/lib/tidegate/state.json: numbers only, written
    each minute and at the drain. Read at the start, but for backends that are other engines now. `off`: none."""
    store: Annotated[StoreSettings, PLAIN, short(StoreSettings, "path")] = StoreSettings()
    """Files and batches (`/v1/files`, `/v1/batches`), whose lines run on what other requests leave; `path` alone may be
    written for it. Without `path` and `url` these routes are passed to the engines."""
    slos: Annotated[tuple[Annotated[ServiceLevelObjective, PLAIN], ...], Field(max_length=MAX_SLOS)] = ()
    """Service level objectives: error budgets and how fast they burn, in metrics and `tidegate slo status`. Bad are
    requests that were refused, failed, or missed a threshold; what is the client's own doing (its 4xx, its quota, that
    it left) does not count ([table](../proxy/obs/README.md#what-a-bad-event-is)). `tidegate slo rules` writes alerts
    for Prometheus, and OpenSLO."""
    slo_state: StatePath = "auto"
    """File in which the counts of `slos` outlive a restart (SQLite, a tenth of a MB each), written each minute and at
    the drain. Proxies may share one, and count together. `auto`: beside the file of `state`, `state.slo.sqlite`; `off`:
    none."""
    realtime: Annotated[RealtimeSettings, PLAIN] = RealtimeSettings()
    """WebSockets at `/v1/realtime`."""
    limits: Annotated[Limits, PLAIN] = Limits()
    """All bounds on the data path."""
    retries: Annotated[RetrySettings, PLAIN] = RetrySettings()
    """Attempts on another backend."""
    hold: Annotated[HoldSettings, PLAIN] = HoldSettings()
    """Jobs that wait for a permit."""
    health: Annotated[HealthSettings, PLAIN] = HealthSettings()
    """Ejection and return of backends."""
    drain: Annotated[DrainSettings, PLAIN] = DrainSettings()
    """What happens on SIGTERM."""
    reload: ReloadSettings = ReloadSettings()
    """How this file is read anew."""
    cors: CorsSettings = CorsSettings()
    """Pages of other origins that may use this proxy from a browser."""
    headers: HeaderSettings = HeaderSettings()
    """Request headers on their way to the backend."""
    routes: RouteSettings = RouteSettings()
    """Which paths are passed to the engines."""

    def scheduling(self) -> SchedulingSettings:
        """What the scheduler needs of it."""
        routing = self.routing
        told = {field.name: getattr(routing, field.name) for field in fields(DispatchSettings)}
        weights = {entry.tenant: entry.weight for entry in self.tenants if entry.weight != 1.0}
        told["fairness"] = replace(routing.fairness, weights={**weights, **routing.fairness.weights})
        return SchedulingSettings(**told, tenants=self.tenants)

    def specs(self) -> list[BackendSpec]:
        """The backends as the scheduler needs to know them."""
        kept = kept_pools(self.classes, self.routing.models)
        return [backend.spec(kept) for backend in self.backends]

    @model_validator(mode="after")
    def _rules_across_groups(self) -> "Config":
        groups = {name: getattr(self, name) for name in type(self).model_fields}
        for finding in cross_check(groups, dict(enumerate(self.backends))):
            if finding.severity is Severity.ERROR:
                raise refusal(f"{'.'.join(map(str, finding.path))}: {finding.message}", finding.hint)
        return self
