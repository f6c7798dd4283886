"""One backend as the operator writes it. Owns the options of an engine URL; knows nothing of the other backends."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from proxy.config.backend_url import BackendUrl, BaseUrl, parse_backend_url
from proxy.config.options import X_DEFAULT
from proxy.config.plain import PLAIN, Settings
from proxy.config.refusal import did_you_mean, quoted, refusal
from proxy.config.secrets import SecretReference
from proxy.config.written import Count, Duration
from proxy.engines.recognition import by_host
from proxy.engines.registry import DIALECTS, UNKNOWN
from proxy.engines.routes import labels as route_labels
from proxy.model.backend import BackendSpec
from proxy.model.endpoint import ROUTE_LABELS
from proxy.model.engine_facts import EngineFacts
from proxy.model.kv_cache import KvCacheSettings
from proxy.model.parameters import ParameterSettings
from proxy.model.rules import BACKEND_LABEL, NOT_POOL_LABEL, POOL_LABEL

_ENGINES = tuple(dialect for dialect in DIALECTS.values() if dialect.selectable)
_NAMES = ("auto", *(dialect.kind for dialect in _ENGINES))
_SPELLINGS = tuple(spelling for dialect in _ENGINES for spelling in dialect.spellings)
if TYPE_CHECKING:
    _Kind = str
    _OtherSpelling = str
else:
    _Kind = Literal[_NAMES]
    _OtherSpelling = Literal[_SPELLINGS]

_LABEL = r"[A-Za-z0-9._:-]{1,64}"
_LABEL_RE = re.compile(_LABEL, re.ASCII)
_MAX_MODEL_NAME = 256
_MAX_NAMES = 1024


def _label(text: str) -> str:
    if not _LABEL_RE.fullmatch(text):
        raise refusal(f"{quoted(text)} is not a name", "1 to 64 of the characters A-Z a-z 0-9 . _ : -")
    return text


def _model_name(text: str) -> str:
    if not text or len(text) > _MAX_MODEL_NAME or not text.isprintable() or text != text.strip():
        raise refusal(
            f"{quoted(text)} is not a model name",
            f"1 to {_MAX_MODEL_NAME} printable characters, no space at either end",
        )
    if text == "*":
        raise refusal("* is no name of a model", "write any, for one that takes every name")
    return text


def _folded(name: str) -> str:
    """Without the case, spaces, dots, dashes and underscores in which spellings differ."""
    return re.sub("[ ._-]", "", name).lower()


_KINDS = {_folded(name): name for name in _NAMES} | {
    _folded(spelling): dialect.kind for dialect in _ENGINES for spelling in dialect.spellings
}
"""What is written, folded → kind."""
_MISTAKEN = {name: dialect.kind for dialect in _ENGINES for name in dialect.mistaken}
"""What is not the name of an engine here, but may have been meant."""


def _kind(value: Any) -> Any:
    """The one spelling that the rest of the program knows: `llama.cpp` is `llama_cpp`."""
    folded = _folded(value) if isinstance(value, str) else ""
    if folded in _MISTAKEN:
        raise refusal(f"must be one of {', '.join(_NAMES)}", did_you_mean(_MISTAKEN[folded], _MISTAKEN.values()))
    return _KINDS.get(folded, value)


EngineKind = Annotated[_Kind, BeforeValidator(_kind, json_schema_input_type=_Kind | _OtherSpelling)]

Label = Annotated[str, AfterValidator(_label), Field(json_schema_extra={"pattern": f"^{_LABEL}$"})]
"""A name that is also a metric label."""

ModelName = Annotated[
    str, AfterValidator(_model_name), Field(json_schema_extra={"minLength": 1, "maxLength": _MAX_MODEL_NAME})
]


def _gpu_metrics(text: str) -> str:
    if text == "nvml":
        return text
    url = urlsplit(text)
    if url.scheme not in ("http", "https") or not url.hostname or url.username is not None or not text.isprintable():
        raise refusal(f"{quoted(text)} tells of no cards", "nvml, or a URL such as http://gpu1:9400/metrics")
    return text


GpuMetrics = Annotated[str, AfterValidator(_gpu_metrics), Field(max_length=1024, examples=["nvml"])]


def _shape_of_models(value: Any) -> str:
    return "word" if isinstance(value, str) else "names"


Models = Annotated[
    Annotated[Literal["auto", "any"], Tag("word")]
    | Annotated[tuple[ModelName, ...], Field(min_length=1, max_length=_MAX_NAMES), Tag("names")],
    Discriminator(_shape_of_models),
]


SOONEST_LOOKUP_S = 1.0


def _every(value: float) -> float:
    if value < SOONEST_LOOKUP_S:
        raise refusal("is too often", "1s or more: name servers are asked by everybody")
    return value


def _ip(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        raise refusal(f"{quoted(text)} is not an IP address", "such as 10.0.0.7 or fd00::7, without a port") from None
    return text


class TlsSettings(Settings):
    """How an https backend proves who it is."""

    verify: bool = True
    """Check the certificate and its name. Switch it off only on a network that is yours."""
    ca_file: Annotated[str, Field(min_length=1)] | None = None
    """PEM file of the authorities to trust instead of the system's; relative to the working directory."""


def _default_name(known: dict[str, Any]) -> str:
    url = parse_backend_url(known["url"])
    if url.socket:
        return re.sub("[^A-Za-z0-9._:-]", "-", url.socket.rpartition("/")[2].removesuffix(".sock"))[-64:] or "unix"
    return f"{url.host}:{url.port}"[-64:]


class BackendOptions(Settings):
    """One engine."""

    model_config = ConfigDict(hide_input_in_errors=True)

    url: BaseUrl
    """Base URL, http or https, with an optional path prefix; a trailing `/v1` is understood. An engine that listens on
    a Unix socket of this machine is `unix:/run/engine.sock`."""
    name: Label = Field(
        default_factory=_default_name,
        json_schema_extra={X_DEFAULT: "host:port of `url`, made unique"},
    )
    """Name in logs, metrics and headers; unique."""
    resolve: Literal["one", "all", "ipv4", "ipv6"] = "one"
    """`all`: the host of `url` is looked up again and again, and each of its addresses (64 at most) is a backend with
    these options, `NAME@ADDRESS`: pods of a headless service. Who is new starts slowly; who is gone from two lookups
    drains. A name without an answer changes nothing. `ipv4`, `ipv6`: of one family only, where pods have both."""
    resolve_every: Annotated[Duration, AfterValidator(_every)] = 10.0
    """Pause between two lookups of `resolve`; this machine's resolver tells no TTL."""
    ip: Annotated[str, AfterValidator(_ip)] | None = None
    """Address that is connected to, instead of looking the host of `url` up: `Host` and the certificate keep the name.
    null: none."""
    kind: EngineKind = "auto"
    """The engine's dialect; `auto` finds it out. Other spellings of a name are understood: `llama.cpp`, `vLLM`."""
    pool: Label = "default"
    """The named set of backends it belongs to."""
    models: Models = "auto"
    """Models it serves: a list of names, `auto` (ask the engine) or `any` (takes every name)."""
    aliases: Annotated[dict[ModelName, ModelName], Field(max_length=_MAX_NAMES)] = Field(default={})
    """Public name: the engine's own name. Clients may ask for either."""
    usage: Literal["ask", "never"] = "ask"
    """`ask`: streams are asked for token counts that the client did not ask for, and which it does not see; an engine
    that refuses that is not asked again. `never`: requests go out as they came, and tokens are counted by events."""
    stream_upstream: Literal["auto", "always", "never"] = "auto"
    """Answers that clients want in one piece are asked of the engine as streams, and put together here, so that a
    client that leaves frees the engine. `auto`: where the engine notices it in no other way, or late: llama.cpp and
    transformers; `always`, `never`. Requests whose stream says less than their answer go as they came."""
    api_key: SecretReference = None
    """Key sent to the engine as `Authorization: Bearer …` (to Anthropic, known by its host or `kind`, as `x-api-key`),
    by reference: `${NAME}` or `${file:PATH}`."""
    max_concurrency: Count | None = None
    """Requests in flight at once; more are held here. null: as many as come."""
    requests_per_minute: Count | None = None
    """What its quota allows in any minute: more are held here, or go elsewhere. null: no limit, but for what is left by
    its answers (`x-ratelimit-remaining-*`, `anthropic-ratelimit-*`), which counts where `api_key` is set."""
    tokens_per_minute: Count | None = None
    """The same, in tokens of prompts and answers: those expected when a request goes, the true ones when it ends."""
    labels: Annotated[tuple[Label, ...], Field(max_length=64)] = ()
    """What rules may require or prefer."""
    hardware: Annotated[str, Field(max_length=64)] = ""
    """What it runs on, such as `2x L40S`. Rules may require it; rows of `log.csv` say it."""
    gpu: Annotated[str, Field(max_length=64)] = ""
    """Kind of card, such as `A100-80GB`. Rules may require it; rows of `log.csv` say it where `hardware` is empty."""
    gpu_metrics: GpuMetrics | None = None
    """Who tells how much memory is taken on its cards: the URL of an exporter of DCGM, such as
    `http://gpu1:9400/metrics`, or `nvml`, the driver of this machine (needs `pip install 'tidegate[nvml]'`). Asked as
    often as its load, `routing.scrape`. null: nobody."""
    gpus: Annotated[tuple[Label | Annotated[int, Field(ge=0, le=1023)], ...], Field(max_length=64)] = ()
    """Its cards there, by index or UUID: `[0, 1]`. Empty: all."""
    precision: Annotated[str, Field(max_length=64)] = ""
    """Of its weights, such as `fp16`, where the engine does not tell (llama.cpp, Ollama and SGLang do). Rules may
    require it; rows of `log.csv` say it."""
    attention: Annotated[str, Field(max_length=64)] = ""
    """What computes attention, such as `flash`, where the engine does not tell (SGLang does). Rules may require it."""
    speculative: bool = False
    """Decodes speculatively, where the engine does not tell: structured output goes elsewhere when it can."""
    kv_tokens: Count | None = None
    """KV budget of the engine in tokens. null: told by its metrics, or learned."""
    kv_cache: Annotated[KvCacheSettings, PLAIN] | None = None
    """What `kv_tokens` is computed of, as `tidegate plan` does: shape of the model and memory. null: as `kv_tokens`."""
    max_tokens: Count | None = None
    """Longest answer that it is asked for: what requests ask above it is lowered. null: as they ask; 4,096 for
    `transformers`, which works on for clients that have left, one request at a time."""
    seats: Count | None = None
    """Requests the engine runs at once; more wait inside it. null: told by its metrics, or learned."""
    bias: Annotated[dict[Label, Annotated[float, Field(ge=0, le=100)]], Field(max_length=64)] = Field(default={})
    """Traffic class: how strongly other backends are preferred for it, in prefill times of the request."""
    order: Annotated[int, Field(ge=0, le=99)] = 0
    """Its turn among those that serve the same model: 0 first; higher ones are sent a request only while no backend
    before them can take it, being down, full, unable, or too late for what is promised."""
    parameters: Annotated[ParameterSettings, PLAIN] = ParameterSettings()
    """Fields of requests that are changed before it sees them; after those of `routing.models`."""
    cache_salt: Literal["off", "tenant"] = "off"
    """`tenant`: the engine's own prefix cache is kept apart by API key: requests carry a `cache_salt` that is made of
    it, instead of the client's. vLLM and SGLang know it."""
    tls: TlsSettings = TlsSettings()
    """Only for https."""
    connect: Duration | None = None
    """Overrides `limits.upstream.connect` for this backend. null: no override."""
    first_byte: Duration | None = None
    """Overrides `limits.upstream.first_byte` for this backend. null: no override."""
    idle: Duration | None = None
    """Overrides `limits.upstream.idle` for this backend. null: no override."""

    @property
    def address(self) -> BackendUrl:
        """`url` in parts."""
        return parse_backend_url(self.url)

    @property
    def base_url(self) -> str:
        """What stands before a path, for clients of HTTP; of a socket the host is only a word."""
        return f"http://{self.address.host}" if self.address.socket else self.url

    @property
    def listed_models(self) -> tuple[str, ...] | None:
        """The names in `models`; None when they are `auto` or `any`."""
        return self.models if isinstance(self.models, tuple) else None

    @property
    def known_kind(self) -> str:
        """`kind`, or what its host says where that is `auto`."""
        return (by_host(self.address.host) or "auto") if self.kind == "auto" else self.kind

    @property
    def facts(self) -> EngineFacts:
        """What is written of the engine. A default says nothing."""
        return EngineFacts(
            engine="" if self.known_kind == "auto" else self.known_kind,
            precision=self.precision,
            attention=self.attention,
            speculative=self.speculative if self.speculative or "speculative" in self.model_fields_set else None,
            gpu=self.gpu,
            hardware=self.hardware,
        )

    def spec(self, kept_pools: frozenset[str] = frozenset()) -> BackendSpec:
        """What the scheduler needs to know. `kept_pools`: those that something falls back to."""
        listed = self.listed_models
        not_in = (NOT_POOL_LABEL + pool for pool in kept_pools if pool != self.pool)
        return BackendSpec(
            name=self.name,
            pool=self.pool,
            models=None if listed is None else frozenset(listed) | frozenset(self.aliases),
            any_model=self.models == "any",
            aliases=dict(self.aliases),
            max_concurrency=self.max_concurrency,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
            labels=frozenset((*self.labels, POOL_LABEL + self.pool, BACKEND_LABEL + self.name, *not_in)),
            facts=self.facts,
            kv_tokens=self.kv_tokens if self.kv_cache is None else self.kv_cache.tokens,
            seats=self.seats,
            traits=DIALECTS.get(self.known_kind, UNKNOWN).traits,
            routes=ROUTE_LABELS if self.known_kind == "auto" else route_labels(self.known_kind),
            bias=dict(self.bias),
            order=self.order,
            url=str(self.address) if self.ip is None else f"{self.address} at {self.ip}",
        )

    def at(self, ip: str) -> "BackendOptions":
        """The same at one address of its name. Rules and pins that name it mean this one, too."""
        labels = (*self.labels, BACKEND_LABEL + self.name)
        return self.model_copy(update={"name": f"{self.name}@{ip}", "ip": ip, "resolve": "one", "labels": labels})


def with_unique_names(backends: tuple[BackendOptions, ...]) -> tuple[BackendOptions, ...]:
    """Backends without a written name whose host:port is taken get `-2`, `-3`, … in the order of the file."""
    taken = {b.name for b in backends if "name" in b.model_fields_set}
    named = []
    for backend in backends:
        if "name" not in backend.model_fields_set:
            backend = backend.model_copy(update={"name": _free_name(backend.name, taken)})
        taken.add(backend.name)
        named.append(backend)
    return tuple(named)


def _free_name(wanted: str, taken: set[str]) -> str:
    name, number = wanted, 1
    while name in taken:
        number += 1
        suffix = f"-{number}"
        name = wanted[: 64 - len(suffix)] + suffix
    return name


def served_names(backends: Mapping[int, BackendOptions]) -> set[str] | None:
    """Every name that the backends take; None when one of them does not list its models."""
    names: set[str] = set()
    for backend in backends.values():
        listed = backend.listed_models
        if listed is None:
            return None
        names.update(listed, backend.aliases)
    return names
