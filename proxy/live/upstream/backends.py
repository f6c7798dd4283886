"""The backends of one proxy: configuration turned into pools, dialects and ready-made request heads."""

import asyncio
import logging
from typing import Final

from proxy.config.backend import BackendOptions
from proxy.config.schema import Config
from proxy.engines.base import Dialect, ModelCard
from proxy.engines.keys import key_headers
from proxy.engines.registry import DIALECTS, UNKNOWN
from proxy.engines.routes import UNRECOGNISED
from proxy.live.upstream.address import SocketAddress, address_of
from proxy.live.upstream.pool import ConnectionPool
from proxy.live.watch import Watch
from proxy.model.endpoint import Endpoint
from proxy.model.engine_facts import UNKNOWN as UNKNOWN_FACTS
from proxy.model.limits import UpstreamLimits
from proxy.model.model_name import twin
from proxy.model.parameters import ParameterSettings
from proxy.model.whole_answers import AS_OPENAI, WholeAnswers
from proxy.wire.parameters import Changed

_log = logging.getLogger("tidegate.backends")
_WARN_S: Final = 60.0
_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key"})
_MODELS_MAX: Final = 1024
"""Models of one backend of which something is remembered."""


class Upstream:
    """One engine as the live side knows it."""

    def __init__(
        self,
        config: BackendOptions,
        limits: UpstreamLimits,
        loop: asyncio.AbstractEventLoop,
        watch: Watch,
        via: bytes = b"",
        address: SocketAddress | None = None,
    ) -> None:
        """`via`: a line for the head of every request; `address`: as `address_of` makes it. OSError or ssl.SSLError
        where that is left to be made here, and cannot."""
        address = address or address_of(config, limits)
        self.name = config.name
        self.pool = ConnectionPool(address, loop, watch)
        self.clock = watch.clock
        self.dialect: Dialect = DIALECTS.get(config.known_kind, UNKNOWN)
        self.kind_known = False
        self.written = UNKNOWN_FACTS
        """What its operator says of it."""
        self.takes_any = False
        """Every name is sent there: that it does not know one is the client's business."""
        self.lists = True
        """Its own list says which models it has."""
        self.aliases: dict[str, str] = {}
        self.parameters: ParameterSettings | None = None
        """Fields of requests that are changed before it sees them; None: none are."""
        self.parameters_changed: dict[str, int] = {}
        """Requests so changed, by how."""
        self.salts_cache = False
        """Its own prefix cache is kept apart by tenant, if its kind can do that."""
        self.is_lost = asyncio.Event()
        """It was not reached just now: its prober looks at once."""
        self.warm: frozenset[str] = frozenset()
        """Models in which it was asked for named prompts, by its own names, since it forgot everything."""
        self.listed = self.in_memory = b""
        """Its own lists, as it told them last: of its models, and of those that it has in memory."""
        self.cards: dict[str, ModelCard] = {}
        """What it says of its models, by its own names."""
        self.contexts: dict[str, int] = {}
        """Tokens of the contexts that it told last, by its own names of models."""
        self._told: set[str] = set()
        """What its operator was told once."""
        self._closes = False
        """The last request was taken by nobody: its connection was closed without an answer."""
        self._closes_probes = False
        self._only_probes = False
        """It served while it closed probes without an answer: that it closes them says nothing."""
        self._warn_again = 0.0
        self._max_answer: int | None = None
        self._asks_usage = False
        self._stream_upstream = "auto"
        self._makes_whole: dict[tuple[str, Endpoint], bool] = {}
        """Models and endpoints: whether an answer in one piece could be made of a stream of theirs, ever."""
        self._takes_usage: dict[str, bool] = {}
        """Models for which it took being asked for usage, or refused."""
        self.answers = False
        """Its last probe was answered."""
        self._prefix = address.prefix.encode()
        self.where = address.socket or address.authority.decode() + address.prefix
        if address.ip:
            self.where += f" at {address.ip}"
        """Host, port and path; or the path of its socket."""
        self.authority = (address.socket or address.ip or address.host, address.port)
        self._host_line = b" HTTP/1.1\r\nhost: " + address.authority + b"\r\n"
        self._id_line = b"accept-encoding: identity\r\n" + via + b"x-request-id: "
        self._key_line: bytes | None = None
        self._own_lines: dict[bytes, bytes] = {}
        self._describe(config, address)

    def configure(self, config: BackendOptions, address: SocketAddress) -> None:
        """The same engine, with other options; what it showed of itself is known still."""
        kind = DIALECTS.get(config.known_kind, UNKNOWN)
        if config.known_kind != "auto" and kind is not self.dialect:
            self.dialect = kind
        if (config.usage == "ask") != self._asks_usage:
            self._takes_usage.clear()
        self._describe(config, address)
        self.pool.configure(address)

    def _describe(self, config: BackendOptions, address: SocketAddress) -> None:
        self.kind_known = config.known_kind != "auto"
        self.takes_any, self.lists = config.models == "any", config.models == "auto"
        self.aliases = config.aliases
        self.parameters = config.parameters or None
        self.salts_cache = config.cache_salt == "tenant"
        self.written = config.facts
        self.gpu_metrics = config.gpu_metrics
        """Who tells of the memory of its cards; None: nobody."""
        self.gpus = tuple([str(card) for card in config.gpus])
        self._max_answer = config.max_tokens
        self._asks_usage = config.usage == "ask"
        self._stream_upstream = config.stream_upstream
        self._makes_whole.clear()
        self._key_line = None if address.api_key is None else f"authorization: Bearer {address.api_key}\r\n".encode()
        own = key_headers(self.dialect, "", address.api_key) if self.dialect.key_header else {}
        self._own_lines = {name.encode(): f"{name}: {value}\r\n".encode() for name, value in own.items()}
        """Lines of a head by their names, of a kind that reads its operator's key elsewhere; empty: as all do."""

    @property
    def max_answer(self) -> int | None:
        """Tokens of the longest answer that it is asked for; None: any."""
        return self.dialect.max_answer if self._max_answer is None else self._max_answer

    @property
    def has_key(self) -> bool:
        """Whether the operator's key replaces the client's."""
        return self._key_line is not None

    def with_parameters(self, body: bytes, of_model: ParameterSettings | None, *, generates: bool) -> bytes:
        """A JSON body with its fields as the operator wants them, for the model first; counted."""
        changed = Changed(body)
        for settings in (of_model, self.parameters):
            if settings is not None:
                changed.apply(settings, generates=generates)
        for kind in changed.kinds:
            self.parameters_changed[kind] = self.parameters_changed.get(kind, 0) + 1
        return changed.body

    def tells_usage(self, model: str) -> bool:
        """Whether it may be asked for usage that the client did not ask for."""
        return self._asks_usage and self._takes_usage.get(model, True)

    def has_told_usage(self, model: str) -> bool:
        """Whether it has been asked and did not mind."""
        return self._takes_usage.get(model, False)

    def took_usage(self, model: str, taken: bool) -> None:
        """It was asked for usage, and served the request or refused it for that."""
        if model in self._takes_usage or len(self._takes_usage) < _MODELS_MAX:
            self._takes_usage[model] = taken

    def forget_usage(self, model: str) -> None:
        """It is not known after all whether it minds being asked."""
        self._takes_usage.pop(model, None)

    def streams_whole(self, model: str, endpoint: Endpoint) -> WholeAnswers | None:
        """How its whole answers differ from its streams, where it is asked for those instead; None: it is not."""
        whole = self.dialect.streamed_whole
        if (whole is None and self._stream_upstream != "always") or self._stream_upstream == "never":
            return None
        may = self._makes_whole.get((model, endpoint), True) and self.tells_usage(model)
        return whole or AS_OPENAI if may else None

    def streamed_whole(self, model: str, endpoint: Endpoint, *, fits: bool) -> None:
        """An answer in one piece could be made of its stream, or none: that is not tried again, unless one could be
        made before, so that it is this answer's fault."""
        key = model, endpoint
        if fits or (key not in self._makes_whole and len(self._makes_whole) < _MODELS_MAX):
            self._makes_whole[key] = fits

    def heard(self) -> None:
        """It answered a request."""
        self._closes = False
        self._only_probes = self._closes_probes

    def closed(self) -> None:
        """It closed a new connection that had a request, without an answer: its prober looks at once."""
        self._closes = True
        self.is_lost.set()

    def is_nobody(self, *, closes_probe: bool) -> bool:
        """Whether what takes connections there is only a port forwarder with nobody behind it (docker-proxy, ssh -L, a
        balancer of connections): it closes probes and requests alike. `closes_probe`: how the last probe ended."""
        self._closes_probes = closes_probe
        return self.seems_nobody and self._closes

    @property
    def seems_nobody(self) -> bool:
        """Whether its last probe was closed without an answer, and that says something."""
        return self._closes_probes and not self._only_probes

    def warn(self, text: str) -> None:
        """Something that its operator should see: once a minute at most, since every request would say it again."""
        now = self.clock()
        if now >= self._warn_again:
            self._warn_again = now + _WARN_S
            _log.warning("%s", text)

    def warn_once(self, text: str) -> None:
        """… and that stays as it is until somebody changes it."""
        if text not in self._told and len(self._told) < _MODELS_MAX:
            self._told.add(text)
            _log.warning("%s", text)

    def context_of(self, model: str) -> int | None:
        """Tokens, by its own name of the model; None: it did not tell."""
        context = self.contexts.get(model)
        return self.contexts.get(twin(model)) if context is None and self.dialect.traits.loose_names else context

    @property
    def kind(self) -> str:
        """Of engine; `UNRECOGNISED` where neither the configuration nor the engine told."""
        return self.dialect.kind if self.kind_known or self.dialect is not UNKNOWN else UNRECOGNISED

    def message(
        self,
        method: str,
        target: str,
        request_id: str,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        more: tuple[memoryview, bytes, memoryview] | None = None,
    ) -> bytes:
        """A whole request in one piece. The configured key replaces whatever key the client sent. `more`: the body in
        pieces, instead of `body`."""
        parts: list[bytes | memoryview] = [method.encode(), b" ", self._prefix, target.encode(), self._host_line]
        key_line = self._key_line
        if self._own_lines and target.partition("?")[0] not in self.dialect.bearer_at:
            sent = {name.lower() for name, _ in headers} - _CREDENTIALS
            parts += [line for name, line in self._own_lines.items() if name not in sent]
        elif key_line is not None:
            parts.append(key_line)
        for name, value in headers:
            if key_line is not None and name.lower() in _CREDENTIALS:
                continue
            parts += (name, b": ", value, b"\r\n")
        parts.append(b"%b%b\r\n" % (self._id_line, request_id.encode()))
        size = len(body) if more is None else len(more[0]) + len(more[1]) + len(more[2])
        if size or method != "GET":
            parts.append(b"content-length: %d\r\n" % size)
        parts += (b"\r\n", body) if more is None else (b"\r\n", *more)
        return b"".join(parts)


def addresses_of(config: Config) -> dict[str, SocketAddress]:
    """Of all backends, by name. Reads files; OSError or ssl.SSLError for a CA file that cannot be used."""
    return {backend.name: address_of(backend, config.limits.upstream) for backend in config.backends}


def build(config: Config, loop: asyncio.AbstractEventLoop, watch: Watch, via: bytes = b"") -> dict[str, Upstream]:
    """All backends by name. Raises as `addresses_of` does."""
    return {backend.name: Upstream(backend, config.limits.upstream, loop, watch, via) for backend in config.backends}
