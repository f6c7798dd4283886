"""Embeddings, scores and rerankings: prompts that are computed and not continued.

Owns vectors and their shapes. A vector depends on the text alone; texts that share words are closer than others, so
that a ranking means something.
"""

import asyncio
import base64
import struct
import time
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from proxy.sim.engine.arrays import ArrayCost
from proxy.sim.http import refusal
from proxy.sim.http.driver import EngineDriver
from proxy.sim.http.fields import Fields, token_lists
from proxy.sim.http.request import Prompt, RequestParser
from proxy.sim.http.settings import SimSettings
from proxy.sim.http.shapes import Json
from proxy.sim.http.text import rng_for

DIMENSIONS = 64
DIMENSIONS_MAX = 4096


class Pooler:
    """Answers the pooling routes on one engine."""

    def __init__(self, settings: SimSettings, reader: RequestParser, driver: EngineDriver) -> None:
        self._settings = settings
        self._reader = reader
        self._driver = driver
        self._free_at = 0.0
        """When the calls are done that have come, by the engine's clock."""

    async def embeddings(self, body: Mapping[str, Any], request_id: str) -> Json:
        """`/v1/embeddings`."""
        fields = Fields(body)
        texts = token_lists(fields.required("input"), "input")
        model = fields.model(self._settings.models)
        dimensions = fields.integer("dimensions", DIMENSIONS) or 0
        if not 1 <= dimensions <= DIMENSIONS_MAX:
            message = f"dimensions must be between 1 and {DIMENSIONS_MAX}, got {dimensions}."
            raise refusal.bad_parameter(message, "dimensions", dimensions)
        encoding = body.get("encoding_format") or "float"
        if encoding not in {"float", "base64"}:
            raise refusal.invalid("literal_error", "body.encoding_format", "Input should be float or base64", encoding)
        prompts = [self._reader.pooling(text) for text in texts]
        await self._compute(prompts)
        data = [
            {"index": i, "object": "embedding", "embedding": _encoded(vector(prompt.text, dimensions), encoding)}
            for i, prompt in enumerate(prompts)
        ]
        return self._answer("embd", request_id, model, prompts) | {"data": data}

    async def score(self, body: Mapping[str, Any], request_id: str) -> Json:
        """`/v1/score`: one text against one or several, or pairwise."""
        fields = Fields(body)
        model = fields.model(self._settings.models)
        left = _texts(fields.required("text_1"), "text_1")
        right = _texts(fields.required("text_2"), "text_2")
        if len(left) == 1:
            left *= len(right)
        if len(left) != len(right):
            raise refusal.bad_parameter("text_1 must hold one text, or as many as text_2.", "text_1")
        prompts, scores = await self._scores(left, right)
        data = [{"index": i, "object": "score", "score": score} for i, score in enumerate(scores)]
        return self._answer("score", request_id, model, prompts) | {"data": data}

    async def rerank(self, body: Mapping[str, Any], request_id: str) -> Json:
        """`/v1/rerank`: the best first."""
        fields = Fields(body)
        model = fields.model(self._settings.models)
        query = _texts(fields.required("query"), "query")
        documents = _texts(fields.required("documents"), "documents")
        prompts, scores = await self._scores(query * len(documents), documents)
        order = sorted(range(len(documents)), key=lambda i: (-scores[i], i))
        top = fields.integer("top_n") or len(documents)
        results = [
            {"index": i, "document": {"text": documents[i], "multi_modal": None}, "relevance_score": scores[i]}
            for i in order[:top]
        ]
        tokens = sum(prompt.tokens for prompt in prompts)
        used = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"id": f"score-{request_id}", "model": model, "usage": used, "results": results}

    async def _scores(self, left: Sequence[str], right: Sequence[str]) -> tuple[list[Prompt], list[float]]:
        prompts = [self._reader.pooling(f"{a} {b}") for a, b in zip(left, right, strict=True)]
        await self._compute(prompts)
        return prompts, [similarity(a, b) for a, b in zip(left, right, strict=True)]

    async def _compute(self, prompts: Sequence[Prompt]) -> None:
        cost = self._settings.arrays
        if cost is not None:
            await self._take_turns(cost, len(prompts))
            return
        async with self._driver.run([(prompt.tokens, 0, prompt.hashes) for prompt in prompts]) as run:
            while await run.next() is not None:
                pass

    async def _take_turns(self, cost: ArrayCost, inputs: int) -> None:
        """One call after the other. Lost time of a timer is lost by nobody but who waits for it."""
        if inputs > cost.cap:
            raise refusal.too_many_inputs(inputs, cost.cap)
        now = self._driver.now()
        self._free_at = max(now, self._free_at) + cost.seconds(inputs)
        await asyncio.sleep((self._free_at - now) / self._driver.speed)

    def _answer(self, prefix: str, request_id: str, model: str, prompts: Sequence[Prompt]) -> Json:
        tokens = sum(prompt.tokens for prompt in prompts)
        used = {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0}
        head = {"id": f"{prefix}-{request_id}", "object": "list", "created": int(time.time()), "model": model}
        return {**head, "usage": {**used, "prompt_tokens_details": None, "completion_tokens_details": None}}


def vector(text: str, dimensions: int) -> list[float]:
    """The unit vector of a text: the sum of its words' vectors."""
    total = [0.0] * dimensions
    for word in (text.lower().split() or [text])[:512]:
        rng = rng_for("word", word)
        total = [value + rng.gauss(0.0, 1.0) for value in total]
    length = sqrt(sum(value * value for value in total)) or 1.0
    return [value / length for value in total]


def similarity(left: str, right: str) -> float:
    """Cosine of two texts."""
    return sum(a * b for a, b in zip(vector(left, DIMENSIONS), vector(right, DIMENSIONS), strict=True))


def _encoded(values: Sequence[float], encoding: str) -> str | list[float]:
    packed = struct.pack(f"<{len(values)}f", *values)
    if encoding == "base64":
        return base64.b64encode(packed).decode()
    return list(struct.unpack(f"<{len(values)}f", packed))


def _texts(value: Any, name: str) -> list[str]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not found or not all(isinstance(text, str) for text in found):
        raise refusal.invalid("string_type", f"body.{name}", "Input should be a valid string", value)
    return found
