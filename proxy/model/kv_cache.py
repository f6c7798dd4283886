"""How many tokens of context fit into an engine's memory: the formula of the KV cache.

    tokens = memory for KV / (2 · layers · kv_heads · head_dim · bytes per element)

2: a key and a value. `kv_heads`, not heads, where several of these share one (grouped-query attention). Used by
`tidegate plan` and by the configuration alike, so that both say the same number. Models that keep less than a key and
a value of every token (latent attention, sliding windows) fit more than this says.
"""

from dataclasses import dataclass
from math import ceil
from typing import Annotated, Literal

from proxy.model.bounds import Bounds, Count, Share, Size
from proxy.model.units import readable_size

Dtype = Literal["fp32", "fp16", "bf16", "fp8", "int8", "int4", "q8_0", "q4_0"]

_BYTES_PER_32: dict[Dtype, int] = {
    "fp32": 128,
    "fp16": 64,
    "bf16": 64,
    "fp8": 32,
    "int8": 32,
    "int4": 16,
    "q8_0": 34,
    "q4_0": 18,
}
"""Bytes of 32 elements, a block of llama.cpp's quantised types, which hold a scale of 2 bytes as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KvCacheSettings:
    """Shape of the model and memory of the engine, of which the KV budget is computed."""

    layers: Annotated[int, Bounds(ge=1, le=10_000)]
    """Layers with attention (`num_hidden_layers`)."""
    kv_heads: Annotated[int, Bounds(ge=1, le=100_000)]
    """Heads of keys and values per layer (`num_key_value_heads`), not those of queries."""
    head_dim: Annotated[int, Bounds(ge=1, le=100_000)]
    """Elements of one head (`head_dim`, or `hidden_size` / `num_attention_heads`)."""
    dtype: Dtype = "fp16"
    """Type of an element of the cache: `fp32`, `fp16`, `bf16`, `fp8`, `int8`, `int4`, or llama.cpp's `q8_0`, `q4_0`."""
    memory: Size
    """Memory of one card."""
    utilization: Share = 1.0
    """Share of `memory` that the engine may use (vLLM: `--gpu-memory-utilization`)."""
    weights: Size = 0
    """Weights of the whole model, and what else the engine keeps there. 0: `memory` is for KV alone."""
    tensor_parallel: Annotated[int, Bounds(ge=1, le=1024)] = 1
    """Cards that share weights and KV heads."""
    block: Count = 1
    """Tokens in one block of the cache, which is given out whole (vLLM: 16)."""

    def __post_init__(self) -> None:
        """Raises ValueError for numbers that do not go together."""
        heads, cards = self.kv_heads, self.tensor_parallel
        if heads % cards and cards % heads:
            raise ValueError(f"{heads} kv_heads cannot be shared by {cards} cards: one must be a multiple of the other")
        if self.bytes_for_kv <= 0:
            raise ValueError(
                f"the weights ({readable_size(self.weights)}{_shared(cards)}) leave nothing for KV of "
                f"{readable_size(self.memory)} at utilization {self.utilization:g}"
            )
        if not self.tokens:
            raise ValueError(f"{readable_size(self.bytes_for_kv)} for KV do not hold one block of {self.block} tokens")

    @property
    def bytes_for_kv(self) -> int:
        """Memory that is left for keys and values, on each card."""
        return int(self.memory * self.utilization) - ceil(self.weights / self.tensor_parallel)

    @property
    def bytes_per_token(self) -> float:
        """One token of context, on each card."""
        return self._bytes_per_32_tokens / 32

    @property
    def tokens(self) -> int:
        """The KV budget, in whole blocks."""
        return self.bytes_for_kv * 32 // (self._bytes_per_32_tokens * self.block) * self.block

    def requests(self, context: int) -> int:
        """How many requests of so many tokens, prompt and answer together, fit at once."""
        return self.tokens // self.block // ceil(context / self.block)

    @property
    def _bytes_per_32_tokens(self) -> int:
        heads = max(1, self.kv_heads // self.tensor_parallel)  # with more cards than heads, several hold the same one
        return 2 * self.layers * heads * self.head_dim * _BYTES_PER_32[self.dtype]


def _shared(cards: int) -> str:
    return f" on {cards} cards" if cards > 1 else ""
