"""The constants of a modelled engine, each with its source, and the named presets.

Owns numbers and the step-time formula. Owns no state: `engine` runs what is described here.

Two sources are used. *Published*: constants fitted by the vLLM router project to one model on one GPU (also used by
its own simulator), so that results can be compared with theirs. *Assumed*: chosen here; the docstring of the preset
says why. No preset claims to be a particular product on a particular card.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class EngineKind(StrEnum):
    """How an engine forms batches."""

    CONTINUOUS = "continuous"
    """Requests join and leave at every step (vLLM, SGLang, llama.cpp with several slots)."""
    STATIC = "static"
    """One batch at a time, padded to its longest member (a plain Hugging Face pipeline)."""
    SERIAL = "serial"
    """One request at a time (Ollama's default for a large model)."""


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """One engine. The defaults are the published constants."""

    kind: EngineKind = EngineKind.CONTINUOUS
    prefill_s_per_token: float = 0.057e-3
    """Published: 0.057 s per 1,000 prompt tokens."""
    prefill_s_per_token2: float = 0.0044e-6
    """Published: 0.0044 s per (1,000 prompt tokens)²: attention over what came before."""
    step_s: float = 0.0106
    """Published: one decode step of an empty batch, that is reading the weights once. Also the least time of a step
    that only prefills (assumed: the weights are read then too)."""
    step_s_per_sequence: float = 0.000419
    """Published: added per sequence in the batch."""
    step_s_per_kv_token: float = 1.42e-7
    """Published: added per token of context in the batch."""
    kv_tokens: int = 266_864
    """Published: KV budget of one backend, tokens."""
    block_tokens: int = 16
    """Published, and vLLM's default: tokens per KV block."""
    prefix_tokens: int = 16
    """Tokens per prefix hash: the block size, or a multiple where a trace hashes larger blocks (Mooncake: 512)."""
    prefix_caching: bool = True
    token_budget: int = 1024
    """Published: tokens computed per step at most (`--max-num-batched-tokens`)."""
    max_num_seqs: int = 256
    """vLLM's default of `--max-num-seqs` for servers."""
    max_model_len: int = 131_072
    """Longest prompt plus answer, tokens. Assumed: the context length of current open models."""
    speculation: float = 0.0
    """Speculative decoding: in small batches a step takes 1 / (1 + this) of its time per token…"""
    speculation_batch: int = 8
    """…up to this many sequences; above, drafting is off. A bend that no linear model of the batch has."""
    request_s: float = 0.0
    """From sending a request until the engine has it in its queue: network, template, tokenizer. It keeps no step from
    being computed. Of engines behind a modelled proxy; over HTTP it takes what it takes."""
    max_queued: int | None = None
    """`--max-num-queued-reqs`: waiting plus running requests; above, 503. None (vLLM's default): no bound."""

    def __post_init__(self) -> None:
        if self.prefix_tokens % self.block_tokens:
            raise ValueError("prefix_tokens must be a multiple of block_tokens")
        if self.token_budget <= self.max_num_seqs:
            raise ValueError("token_budget must exceed max_num_seqs, or a full batch would leave no room to prefill")
        if self.max_model_len > self.kv_blocks * self.block_tokens:
            raise ValueError("max_model_len does not fit the KV budget")

    @property
    def kv_blocks(self) -> int:
        """KV budget in blocks."""
        return self.kv_tokens // self.block_tokens

    def prefill_s(self, start: int, tokens: int) -> float:
        """Seconds to compute `tokens` prompt tokens after `start` that are already there."""
        end = start + tokens
        return self.prefill_s_per_token * tokens + self.prefill_s_per_token2 * (end * end - start * start)

    def decode_s(self, batch: int, kv_tokens: int) -> float:
        """Seconds of one decode step; nothing for an empty batch."""
        if not batch:
            return 0.0
        seconds = self.step_s + self.step_s_per_sequence * batch + self.step_s_per_kv_token * kv_tokens
        return seconds / self._drafted(batch)

    def decode_growth_s(self, batch: int, growing: int) -> float:
        """By how much a decode step is longer than the one before: so many of the batch have one token more."""
        return self.step_s_per_kv_token * growing / self._drafted(batch)

    def _drafted(self, batch: int) -> float:
        return 1.0 + self.speculation if batch <= self.speculation_batch else 1.0

    def slowed(self, factor: float) -> "EngineSpec":
        """The same engine on a machine that takes `factor` times as long for everything."""
        if factor == 1.0:
            return self
        return replace(
            self,
            prefill_s_per_token=self.prefill_s_per_token * factor,
            prefill_s_per_token2=self.prefill_s_per_token2 * factor,
            step_s=self.step_s * factor,
            step_s_per_sequence=self.step_s_per_sequence * factor,
            step_s_per_kv_token=self.step_s_per_kv_token * factor,
        )

    def as_kind(self, kind: EngineKind) -> "EngineSpec":
        """The same machine run another way: one seat for `serial`, no prefix cache for `static`."""
        if kind is EngineKind.SERIAL:
            return replace(self, kind=kind, max_num_seqs=1)
        if kind is EngineKind.STATIC:
            return replace(self, kind=kind, prefix_caching=False, max_num_seqs=min(self.max_num_seqs, 32))
        return replace(self, kind=kind)


MOONCAKE16: Final = EngineSpec(prefix_tokens=512, max_model_len=262_144)
"""The published constants, with prefixes hashed in the 512-token blocks of the Mooncake traces; 16 of these make the
cluster of that simulation. Assumed: a context that takes the longest prompts of those traces (191k tokens)."""

LOW_LATENCY: Final = EngineSpec(
    prefill_s_per_token=0.057e-3 / 2,
    prefill_s_per_token2=0.0044e-6 / 2,
    step_s=0.0106 / 2,
    max_num_seqs=16,
    token_budget=2048,
    max_model_len=32_768,
)
"""Assumed: the published machine with two cards in tensor parallel (half the time per step, perfect scaling), and few
seats so that no batch grows slow: what an operator sets up for chats."""

HIGH_THROUGHPUT: Final = EngineSpec(max_num_seqs=256, token_budget=8192, max_model_len=32_768)
"""Assumed: the published machine with many seats and vLLM's larger token budget (8192), so that long prompts are
prefilled in few steps at the price of long steps: what an operator sets up for bulk work."""

FAST: Final = EngineSpec(
    prefill_s_per_token=1e-8,
    prefill_s_per_token2=0.0,
    step_s=5e-5,
    step_s_per_sequence=0.0,
    step_s_per_kv_token=0.0,
    max_model_len=32_768,
)
"""Assumed: near-zero times, for tests of the wire, where the engine's own pace is in the way."""

PRESETS: Final = {
    "low_latency": LOW_LATENCY,
    "high_throughput": HIGH_THROUGHPUT,
    "mooncake16": MOONCAKE16,
    "fast": FAST,
}
