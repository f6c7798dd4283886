"""What the proxy answers itself: which models there are, whether requests may come, which version it is, and where the
time of a request went.

Owns these answers; no engine is asked for them.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import orjson

from proxy import __version__
from proxy.core.tenancy.access import Patterns
from proxy.live.catalogue import ModelList
from proxy.live.ollama_lists import OllamaLists
from proxy.live.timings import Timings
from proxy.live.upstream.backends import Upstream
from proxy.model.endpoint import Endpoint
from proxy.model.faults import FaultError, Kind, downstream
from proxy.wire import model_list
from proxy.wire.cors import Cors
from proxy.wire.headers import Head
from proxy.wire.routes import Route

_JSON: Final = (b"content-type", b"application/json")
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_NOT_KEPT: Final = (b"cache-control", b"no-store")
_RETRY_SOON: Final = (b"retry-after", b"5")
_ALLOW: Final = (b"allow", b"GET, POST, OPTIONS")


class Own(NamedTuple):
    """One of them."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class OwnAnswers:
    """`models_of`: which models there are for whoever asks; `not_ready`: why no request should come now, None: they
    may."""

    def __init__(
        self,
        models: ModelList,
        models_of: Callable[[Head], Patterns],
        backends: Iterable[Upstream],
        not_ready: Callable[[], str | None],
        cors: Cors,
        timings: Timings,
    ) -> None:
        self._models = models
        self._models_of = models_of
        self._backends = tuple(backends)
        self._not_ready = not_ready
        self._cors = cors
        self._timings = timings
        self._lists = OllamaLists(models, self._backends)

    def options(self, head: Head) -> Own:
        """What may be asked at all, and what a page of another origin may."""
        wanted = head.fields.get(b"access-control-request-headers", b"")
        return Own(204, [_ALLOW, *self._cors.preflight(head.origin, wanted)], b"")

    def to(self, head: Head, found: Route, body: bytes) -> Own | None:
        """The answer to a request that no engine is asked for; None: it is for one of them."""
        if found.endpoint is Endpoint.MODELS:
            return self.models(found.item, self._models_of(head), as_anthropic=b"anthropic-version" in head.fields)
        if found.endpoint is Endpoint.HEALTH:
            return self.health(found.item)
        if found.endpoint is Endpoint.TIMINGS:
            return self.timing(head, found.item, body)
        if found.endpoint is Endpoint.OLLAMA_LISTS and found.plain:
            return Own(200, [_JSON], self._list(found.plain, self._models_of(head)))
        if found.plain == "/" and head.method != "POST":
            return self.root()
        return None

    def _list(self, path: str, permitted: Patterns) -> bytes:
        if path == "/api/version":
            return self._lists.version()
        return self._lists.ps(permitted) if path == "/api/ps" else self._lists.tags(permitted)

    def root(self) -> Own:
        """What clients of some engines look for at `/`: is anybody there?"""
        health, greeting = self.health(""), self._lists.greeting()
        if health.status != 200:
            return health
        return Own(200, [_TEXT], greeting) if greeting else Own(200, [], b"")

    def models(self, item: str, permitted: Patterns, *, as_anthropic: bool = False) -> Own:
        """All models that a client may use, or the one called `item`. FaultError when there is none."""
        if not item:
            listed = self._models.render(permitted)
            return Own(200, [_JSON], model_list.as_anthropic(listed) if as_anthropic else listed)
        body = self._models.find(item, permitted)
        if body is None:
            text = f"The model `{item[:64]}` does not exist."
            raise FaultError(downstream(Kind.MODEL_NOT_FOUND, text, param="model"))
        return Own(200, [_JSON], model_list.as_anthropic(body) if as_anthropic else body)

    def timing(self, head: Head, item: str, body: bytes) -> Own:
        """Where the time of a request went, with what is reported of it now. FaultError when there is none of this
        id."""
        told = self._timings.report(head, item, body) if head.method == "POST" else self._timings.tell(head, item)
        return Own(200, [_JSON, _NOT_KEPT], told)

    def health(self, item: str) -> Own:
        """What load balancers, orchestrators and clients that wait for an engine ask: may requests come?"""
        if item == "version":
            return Own(200, [_JSON], orjson.dumps({"version": __version__}))
        reason = self._not_ready()
        if reason is None and not any(backend.answers for backend in self._backends):
            reason = "no backend answers"
        if reason is not None:
            return Own(503, [_JSON, _RETRY_SOON], orjson.dumps({"status": reason}))
        return Own(200, [_JSON], orjson.dumps({"status": "ok"}))
