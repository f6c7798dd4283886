"""What the proxy answers itself: which models there are, whether requests may come, and which version it is.

Owns these answers; no engine is asked for them.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import orjson

from proxy import __version__
from proxy.core.tenancy.access import Patterns
from proxy.live.catalogue import ModelList
from proxy.live.upstream.backends import Upstream
from proxy.model.faults import FaultError, Kind, downstream

_JSON: Final = (b"content-type", b"application/json")
_RETRY_SOON: Final = (b"retry-after", b"5")


class Own(NamedTuple):
    """One of them."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class OwnAnswers:
    """`not_ready`: why no request should come now; None: they may."""

    def __init__(self, models: ModelList, backends: Iterable[Upstream], not_ready: Callable[[], str | None]) -> None:
        self._models = models
        self._backends = tuple(backends)
        self._not_ready = not_ready

    def models(self, item: str, permitted: Patterns) -> Own:
        """All models that a client may use, or the one called `item`. FaultError when there is none."""
        if not item:
            return Own(200, [_JSON], self._models.render(permitted))
        body = self._models.find(item, permitted)
        if body is None:
            text = f"The model `{item[:64]}` does not exist."
            raise FaultError(downstream(Kind.MODEL_NOT_FOUND, text, param="model"))
        return Own(200, [_JSON], body)

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
