"""Named prompts computed by an engine before it takes traffic, so that its first requests find them in its cache.

Owns what is asked (the part that all requests of a prompt share, one token of answer) and the bounds: one request at a
time, so many, for so long. Whatever fails is counted and left: an engine that is cold serves, too.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import orjson

from proxy.engines import load
from proxy.engines.load import LoadSource
from proxy.live.background.questions import Questions
from proxy.live.upstream.backends import Upstream
from proxy.model.faults import FaultError
from proxy.model.limits import UpstreamLimits
from proxy.model.prompts import WarmSettings
from proxy.wire.prompts.template import Template

_log = logging.getLogger("tidegate.warmer")
_NOT_NOW: Final = frozenset({500, 502, 503, 504})
_ASK_S: Final = 2.0
_PATH: Final = "/v1/chat/completions"
_MOST_B: Final = 1 << 20
_USER: Final = {"role": "user", "content": "."}
"""Many chat templates want one; it stands behind what is to be remembered."""


class Warmer:
    """One per proxy."""

    def __init__(
        self,
        settings: WarmSettings,
        templates: Sequence[Template],
        limits: UpstreamLimits,
        loop: asyncio.AbstractEventLoop,
        before: "Warmer | None" = None,
    ) -> None:
        """`before`: of another configuration; what it did counts here."""
        self._settings = settings
        self._prompts = [_fields(template) for template in templates]
        self._limits = limits
        self._loop = loop
        self.requests: defaultdict[tuple[str, str], int] = defaultdict(int) if before is None else before.requests
        """Backend and result (`ok`, `failed`) → requests."""

    def asks_the_same(self, other: "Warmer") -> bool:
        """Whether an engine that has heard of one prompts need not hear of the other's."""
        return self._prompts == other._prompts

    async def in_memory(self, backend: Upstream, source: LoadSource, models: frozenset[str]) -> frozenset[str]:
        """Which of its models an engine need not load to be asked for prompts: none where it does not say. All, where
        it says that there is nothing to load."""
        questions = Questions(backend, self._limits, self._loop, "tidegate-warm")
        try:
            relay = await questions.get(source.path, load.MAX_B, min(_ASK_S, self._settings.timeout))
        except (TimeoutError, FaultError):
            return frozenset()
        if relay.fault is not None or not relay.complete or relay.status in _NOT_NOW:
            return frozenset()
        told = source.read(relay.body) if relay.status == 200 else load.NOTHING
        if told.unloaded:
            return frozenset()
        return models if told.loaded is None else models & told.loaded

    async def warm(self, backend: Upstream, models: Iterable[str]) -> None:
        """Ask it for every prompt in each of these models, by its own names, within the time of the settings."""
        bodies = [{"model": model, **fields} for model in sorted(models) for fields in self._prompts]
        questions = Questions(backend, self._limits, self._loop, "tidegate-warm")
        done = 0
        try:
            async with asyncio.timeout(self._settings.timeout):
                for fields in bodies[: self._settings.requests]:
                    await self._ask(questions, backend, fields)
                    done += 1
        except (TimeoutError, FaultError):
            self.requests[backend.name, "failed"] += 1
        _log.info("backend %s computed %d of %d prompts", backend.name, done, len(bodies))

    async def _ask(self, questions: Questions, backend: Upstream, fields: dict[str, Any]) -> None:
        relay = await questions.post(_PATH, orjson.dumps(fields), _MOST_B, self._settings.timeout)
        is_good = relay.fault is None and relay.status < 400
        self.requests[backend.name, "ok" if is_good else "failed"] += 1


def _fields(template: Template) -> dict[str, Any]:
    part = template.stable()
    system = [{"role": "system", "content": part.system}] if part.system else []
    fields: dict[str, Any] = {"messages": [*system, *part.messages, _USER], "max_tokens": 1, "temperature": 0}
    if part.tools:
        fields["tools"] = [orjson.loads(tool) for tool in part.tools]
    return fields
