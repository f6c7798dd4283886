"""The engines that the same tests run against: how each is started, and what it does not offer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.engines.llama_server import Engine, LlamaServer
from tests.engines.process import EngineProcess
from tests.engines.transformers_serve import TransformersServe
from tests.engines.vllm_server import EMBEDDINGS, TOOLS, VllmServer

MODEL: Final = "tiny"
"""What all of them call the one model."""
CONTEXT_TOKENS: Final = 2048


@dataclass(frozen=True)
class EngineKind:
    """One engine of the cache; `part` as deploy/engines.sh calls it."""

    part: str
    start: Callable[..., EngineProcess]
    """Options of its command line → a process that is not started."""
    usual: tuple[str, ...] = ()
    """What it is started with for the drop-in tests."""
    strict: tuple[str, ...] = ()
    """With what it sleeps soon, or has a short queue."""
    embeds: tuple[str, ...] | None = ()
    """With what an instance for embeddings is started; None: it has none."""
    repeatable: Mapping[str, Any] = field(default_factory=dict)
    """Fields of its own without which the second of two equal prompts is computed another way."""
    calls_tools: Mapping[str, Any] = field(default_factory=dict)
    """Fields without which random numbers call no tool, though one is required."""
    lacks: Mapping[str, str] = field(default_factory=dict)
    """Case → why it is none of this engine's."""


def _llama(part: str) -> Callable[..., EngineProcess]:
    return lambda *options: LlamaServer(Engine.of(part), MODEL, *options)


_NEVER: Final = {"queue full": "has a queue without a bound", "given up": "gives no answer up"}
_LLAMA: Final[dict[str, Any]] = {
    "usual": ("--metrics",),
    "strict": ("--sleep-idle-seconds", "2"),
    "embeds": ("--embeddings", "--pooling", "mean"),
    "repeatable": {"cache_prompt": False},
    "calls_tools": {"logit_bias": {"2170": 100}},  # `<tool_call>` of make_model.py: text may go before it, for ever
    "lacks": _NEVER,
}
KINDS: Final = {
    kind.part: kind
    for kind in (
        EngineKind("xllamacpp", _llama("xllamacpp"), **_LLAMA),
        EngineKind("llama-server", _llama("llama-server"), **_LLAMA),
        EngineKind(
            "transformers",
            lambda *options: TransformersServe(*options),
            embeds=None,
            lacks={
                "logprobs": "ignores `logprobs`",
                "several choices": "ignores `n`",
                "tools": "ignores `tool_choice`",
                "JSON schema": "ignores `response_format`",
                "arrays of prompts": "takes one text",
                "token ids": "takes text",
                "embeddings": "has no such route",
                "Anthropic messages": "has no such route",
                "context overflow": "takes a prompt of any length",
                "asleep": "never sleeps",
                "terminated mid-stream": "says its answers to the end before it goes",
                **_NEVER,
            },
        ),
        EngineKind(
            "vllm",
            lambda *options, **knobs: VllmServer(MODEL, *options, **knobs),
            usual=TOOLS,
            strict=("--max-num-queued-reqs", "6"),
            embeds=EMBEDDINGS,
        ),
    )
}
