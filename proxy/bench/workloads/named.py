"""Workloads by the words of the command line.

Owns the names, and what stands behind them: a file, or a function of the user's own.
"""

from pathlib import Path
from typing import Final

from proxy.bench.asks import Source
from proxy.bench.workloads.agents import Agent, Tools
from proxy.bench.workloads.chats import MultiTurn, SingleTurn
from proxy.bench.workloads.embeddings import Embeddings
from proxy.bench.workloads.rag import Rag, hook_of
from proxy.bench.workloads.recorded import BadFileError, read_prompts, read_trace_load
from proxy.bench.workloads.structured import Structured
from proxy.config.refusal import did_you_mean

NAMED: Final[dict[str, Source]] = {
    "short-chat": SingleTurn("short-chat", prompt=(20, 200), output=(50, 150)),
    "long-form": SingleTurn("long-form", prompt=(50, 400), output=(300, 600)),
    "bulk": SingleTurn("bulk", prompt=(1000, 6000), output=(200, 500), streams=False, traffic_class="bulk"),
    "multi-turn": MultiTurn(),
    "agent": Agent(),
    "rag": Rag(),
    "structured": Structured(),
    "tools": Tools(),
    "embeddings": Embeddings(),
}
WORDS: Final = (*NAMED, "trace")
_PROMPTS: Final = (".jsonl", ".ndjson")


def source_of(words: list[str], speed: float = 1.0) -> Source:
    """`short-chat`; `rag my_module:function`; `trace FILE`; `prompts.jsonl`. `speed`: of a trace.

    Raises BadFileError.
    """
    name, *more = words
    if name == "trace":
        if len(more) != 1:
            raise BadFileError("write it like --workload trace FILE")
        return read_trace_load(Path(more[0]), speed)
    if name.endswith(_PROMPTS) and not more:
        return read_prompts(Path(name))
    if name == "rag" and len(more) == 1:
        return Rag(hook_of(more[0]), f"rag {more[0]}")
    if name not in NAMED:
        hint = did_you_mean(name, WORDS) or f"known: {', '.join(NAMED)}, trace FILE, or a file *.jsonl with prompts"
        raise BadFileError(f"no workload is named {name[:64]!r}; {hint}")
    if more:
        raise BadFileError(f"{name} takes no {more[0][:64]!r}")
    return NAMED[name]
