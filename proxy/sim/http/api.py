"""The API of a simulated backend: one handler per route.

Owns which shape answers which route. The server counts, records and breaks things around it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from proxy.sim.http import refusal
from proxy.sim.http.driver import EngineDriver
from proxy.sim.http.exposition import Latencies
from proxy.sim.http.faults import Faults
from proxy.sim.http.fields import parse_object
from proxy.sim.http.generation import Generator
from proxy.sim.http.messages import MessagesAnswer, as_anthropic, as_chat
from proxy.sim.http.pooling import Pooler
from proxy.sim.http.refusal import Refusal
from proxy.sim.http.request import GenerationRequest, RequestParser
from proxy.sim.http.responses import ResponsesAnswer
from proxy.sim.http.settings import SimSettings
from proxy.sim.http.shapes import ChatShape, CompletionShape, Identity, Json, encode
from proxy.sim.http.text import rng_for
from proxy.sim.http.wire import Wire

VERSION = "0.33.0"
"""Of the vLLM whose wire format is imitated."""

Handle = Callable[[web.Request, Wire, Faults], Awaitable[web.StreamResponse]]


class SimApi:
    """Handlers of the routes that applications use."""

    def __init__(self, settings: SimSettings, driver: EngineDriver, latencies: Latencies) -> None:
        self._settings = settings
        self._reader = RequestParser(settings)
        self._generator = Generator(driver, latencies)
        self._pooler = Pooler(settings, self._reader, driver)
        self._fingerprint = f"vllm-{VERSION}-{rng_for(settings.spec).getrandbits(32):08x}"
        self.models_status = 200
        """What the model list answers."""

    def posts(self) -> dict[str, Handle]:
        """Routes by path."""
        routes: dict[str, Handle] = {
            "/v1/chat/completions": self._chat,
            "/v1/completions": self._completion,
            "/v1/responses": self._responses,
            "/v1/messages": self._messages,
            "/v1/messages/count_tokens": self._count,
            "/v1/embeddings": self._embeddings,
        }
        routes |= dict.fromkeys(("/v1/rerank", "/rerank", "/v2/rerank"), self._rerank)
        routes |= dict.fromkeys(("/v1/score", "/score"), self._score)
        return routes

    def gets(self) -> dict[str, Handle]:
        """Routes by path."""
        return {"/v1/models": self._models, "/v1/models/{id:.+}": self._model}

    async def _body(self, request: web.Request) -> dict[str, Any]:
        return parse_object(await request.read(), request.headers.get("content-type", ""))

    async def _chat(self, request: web.Request, wire: Wire, faults: Faults) -> web.StreamResponse:
        ask = self._reader.chat(await self._body(request), faults.text)
        shape = ChatShape(ask, Identity.of("chatcmpl", wire.request_id, ask.model, self._fingerprint))
        return await self._generator.answer(ask, shape, wire, faults)

    async def _completion(self, request: web.Request, wire: Wire, faults: Faults) -> web.StreamResponse:
        ask = self._reader.completion(await self._body(request), faults.text)
        shape = CompletionShape(ask, Identity.of("cmpl", wire.request_id, ask.model, self._fingerprint))
        return await self._generator.answer(ask, shape, wire, faults)

    async def _responses(self, request: web.Request, wire: Wire, faults: Faults) -> web.StreamResponse:
        body = await self._body(request)
        ask = self._reader.responses(body, faults.text)
        return await ResponsesAnswer(ask, body, wire.request_id).send(self._generator, wire)

    async def _messages(self, request: web.Request, wire: Wire, faults: Faults) -> web.StreamResponse:
        try:
            ask = await self._message(request, faults)
            return await MessagesAnswer(ask, wire.request_id).send(self._generator, wire)
        except Refusal as refused:
            raise as_anthropic(refused) from None

    async def _count(self, request: web.Request, wire: Wire, faults: Faults) -> web.StreamResponse:
        try:
            ask = await self._message(request, faults)
        except Refusal as refused:
            raise as_anthropic(refused) from None
        return await wire.whole(200, encode({"input_tokens": ask.prompts[0].tokens}))

    async def _message(self, request: web.Request, faults: Faults) -> GenerationRequest:
        return self._reader.chat(as_chat(await self._body(request)), faults.text)

    async def _embeddings(self, request: web.Request, wire: Wire, _: Faults) -> web.StreamResponse:
        return await wire.whole(200, encode(await self._pooler.embeddings(await self._body(request), wire.request_id)))

    async def _rerank(self, request: web.Request, wire: Wire, _: Faults) -> web.StreamResponse:
        return await wire.whole(200, encode(await self._pooler.rerank(await self._body(request), wire.request_id)))

    async def _score(self, request: web.Request, wire: Wire, _: Faults) -> web.StreamResponse:
        return await wire.whole(200, encode(await self._pooler.score(await self._body(request), wire.request_id)))

    async def _models(self, _: web.Request, wire: Wire, __: Faults) -> web.StreamResponse:
        if self.models_status != 200:
            raise refusal.server_error(self.models_status)
        models = [self._model_object(name) for name in self._settings.models]
        return await wire.whole(200, encode({"object": "list", "data": models}))

    async def _model(self, request: web.Request, wire: Wire, _: Faults) -> web.StreamResponse:
        name = request.match_info["id"]
        if name not in self._settings.models:
            raise refusal.unknown_model(name, self._settings.models)
        return await wire.whole(200, encode(self._model_object(name)))

    def _model_object(self, name: str) -> Json:
        return {
            "id": name,
            "object": "model",
            "created": 1_700_000_000,
            "owned_by": "vllm",
            "root": name,
            "parent": None,
            "max_model_len": self._settings.spec.max_model_len,
            "permission": [],
        }
