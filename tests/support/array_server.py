"""An engine that takes arrays, over HTTP, with the faults of real ones: a cap, inputs that it dislikes, answers that
lack some; it counts what it is asked."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from proxy.model.endpoint import Endpoint
from proxy.wire import batching
from tests.support.array_engine import answer
from tests.support.route_engine import RouteEngine, route_engine

EMBEDDINGS = "/v1/embeddings"
POISON = "poison"


class ArrayServer:
    """What it does with the next request."""

    def __init__(self) -> None:
        self.cap = 1 << 30
        self.tells_cap = True
        self.names_bad = False
        """It says which input it dislikes."""
        self.how = "well"
        """`lost`, `twice`, `shuffled`: what its answers to more than one input are; `dies`, `fails`, `busy`;
        `single`: it takes no arrays."""
        self.is_once = False
        """The first answer is so; all after it are well."""
        self.poison_status = 400
        self.sizes: list[int] = []
        """Inputs of each request, as they came."""
        self.left = 0
        """Requests whose client went away."""
        self.gate = asyncio.Event()
        self.gate.set()
        """Answers wait for it."""
        self.arrived = asyncio.Event()
        self.engine: RouteEngine | None = None

    @property
    def url(self) -> str:
        assert self.engine is not None
        return self.engine.url

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        body = await request.read()
        part = batching.part(Endpoint.EMBEDDINGS, json.loads(body))
        inputs = [] if part is None else part.inputs
        self.sizes.append(len(inputs))
        self.arrived.set()
        while not self.gate.is_set():
            if request.transport is None or request.transport.is_closing():
                self.left += 1
                return web.Response()
            await asyncio.sleep(0.001)
        answered = self._refusal(inputs, request) or self._good(body, len(inputs), request)
        if self.is_once:
            self.how = "well"
        return answered

    def _refusal(self, inputs: list[Any], request: web.Request) -> web.StreamResponse | None:
        if self.how == "dies" and request.transport is not None:
            request.transport.abort()
        if self.how == "fails":
            return web.json_response({"error": {"message": "boom"}}, status=500)
        if self.how == "single" and len(inputs) > 1:
            return web.json_response({"error": {"message": "input must be a string."}}, status=400)
        if self.how == "busy":
            return web.json_response({"error": {"message": "busy"}}, status=503)
        if len(inputs) > self.cap:
            text = (
                f"batch size {len(inputs)} > maximum allowed batch size {self.cap}" if self.tells_cap else "too large"
            )
            return web.json_response({"error": text, "error_type": "Validation"}, status=413)
        bad = [i for i, entry in enumerate(inputs) if entry == POISON]
        if not bad:
            return None
        place = f"input[{bad[0]}]: " if self.names_bad else ""
        return web.json_response({"error": {"message": f"{place}not allowed"}}, status=self.poison_status)

    def _good(self, body: bytes, count: int, request: web.Request) -> web.StreamResponse:
        said = answer(Endpoint.EMBEDDINGS, body, request.headers["x-request-id"])
        data = said["data"]
        if count > 1 and self.how == "lost":
            del data[0]
        elif count > 1 and self.how == "twice":
            data[0] = data[1]
        elif self.how == "shuffled":
            random.Random(1).shuffle(data)
        return web.json_response(said)


@asynccontextmanager
async def array_server() -> AsyncIterator[ArrayServer]:
    """One that listens."""
    server = ArrayServer()
    models = {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "vllm", "created": 1}]}
    async with route_engine({EMBEDDINGS: server.answer, "/v1/models": models}) as engine:
        server.engine = engine
        yield server
