"""Stands in for the GPUs of a real vLLM server: one forward pass of PyTorch on the CPU for each request of a step.

vLLM's wheel is built for GPUs, but its HTTP server, tokenizers, scheduler, block pool, prefix cache and metrics are
plain Python. They run as they are; only what vLLM would ask of its workers is answered here. What is not real: speed,
vLLM's own kernels and KV tensors (each request keeps PyTorch's, and takes over those of another where vLLM counts a
prefix hit), speculative decoding, log-probabilities of prompts.

    vllm serve FOLDER --distributed-executor-backend vllm_executor.CpuExecutor     with this file's folder in PYTHONPATH

| variable | | default |
|---|---|---|
| `STANDIN_STEP_MS` | added to every step, in ms | 0 |
| `STANDIN_PREFILL_US` | added for every prompt token computed, in µs | 0 |
| `STANDIN_KV_TOKENS` | tokens that fit into the KV pool | 16384 |
| `STANDIN_LOAD_S` | how long loading takes, in s | 0 |
| `STANDIN_DIES_AFTER` | steps after which the engine breaks; 0: never | 0 |

Runs in the engine cache's own virtual environment (torch, transformers, vllm).
"""

from __future__ import annotations

import copy
import os
import random
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, DynamicCache
from vllm.v1.executor.abstract import Executor
from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheLayout
from vllm.v1.outputs import LogprobsLists, ModelRunnerOutput
from vllm.v1.worker.worker_base import CompilationTimes

KEPT_SEQUENCES = 16
"""How many ended requests' KV tensors are kept for those that begin alike."""
ABSENT = -99.0
"""Log-probability of a place in the table that no token fills."""


def knob(name: str, default: float) -> float:
    return float(os.environ.get(f"STANDIN_{name}", default))


def done(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


@dataclass
class Sequence:
    """One request in the engine: its tokens so far, and what was computed of them."""

    tokens: list[int]
    params: Any
    random: random.Random
    cache: DynamicCache = field(default_factory=DynamicCache)

    def keep(self, count: int) -> None:
        """Forgets what was computed of all tokens but the first `count`."""
        surplus = self.cache.get_seq_length() - count
        if surplus > 0:
            self.cache.crop(-surplus)

    def common(self, other: Sequence) -> int:
        """How many tokens both begin with, of those that `other` has computed."""
        computed = other.cache.get_seq_length()
        pairs = zip(self.tokens, other.tokens[:computed], strict=False)
        return next((i for i, (mine, theirs) in enumerate(pairs) if mine != theirs), min(len(self.tokens), computed))


@dataclass
class Draw:
    """A sampled token, and the log-probabilities that were asked for."""

    token: int
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    rank: int = 1


class CpuExecutor(Executor):
    """What vLLM's engine core asks of its workers."""

    def _init_executor(self) -> None:
        self.step_s = knob("STEP_MS", 0) / 1e3
        self.prefill_s = knob("PREFILL_US", 0) / 1e6
        self.dies_after = int(knob("DIES_AFTER", 0))
        self.steps = 0
        self.sequences: dict[str, Sequence] = {}
        self.ended: deque[Sequence] = deque(maxlen=KEPT_SEQUENCES)
        self.scheduled: Any = None
        self.config = self.model_config.hf_text_config
        self.is_pooling = self.model_config.runner_type == "pooling"
        time.sleep(knob("LOAD_S", 0))
        torch.set_num_threads(1)
        self.model = AutoModelForCausalLM.from_pretrained(self.model_config.model, dtype=torch.float32).eval()

    def get_kv_cache_specs(self) -> list[dict[str, FullAttentionSpec]]:
        spec = FullAttentionSpec(
            block_size=self.cache_config.block_size,
            num_kv_heads=self.config.num_key_value_heads,
            head_size=self.config.hidden_size // self.config.num_attention_heads,
            dtype=torch.float32,
        )
        self.page_bytes = spec.page_size_bytes
        return [{f"layers.{layer}.attn": spec for layer in range(self.config.num_hidden_layers)}]

    def determine_available_memory(self) -> list[int]:
        blocks = int(knob("KV_TOKENS", 16384)) // self.cache_config.block_size + 1  # one is never given out
        return [blocks * self.page_bytes * self.config.num_hidden_layers]

    def get_supported_kv_cache_layouts(self) -> list[list[str]]:
        return [[KVCacheLayout.LBNHC.name, KVCacheLayout.LBHNC.name]]

    def collective_rpc(
        self, method: Any, timeout: float | None = None, args: Any = (), kwargs: Any = None, non_block: bool = False
    ) -> Any:
        name = method if isinstance(method, str) else getattr(method, "__name__", "")
        answers = {
            "get_supported_tasks": ("embed", "token_embed") if self.is_pooling else ("generate",),
            "compile_or_warm_up_model": CompilationTimes(language_model=0.0, encoder=0.0),
            "supports_draft_weight_updates": False,
            "list_loras": set(),
            "get_kv_connector_handshake_metadata": {},
        }
        answer = [answers.get(name)]
        return done(answer) if non_block else answer

    def execute_model(self, scheduler_output: Any, non_block: bool = False) -> Any:
        """Takes a step. Where tokens are to be sampled, `sample_tokens` gives its result."""
        self.scheduled = scheduler_output
        samples = not self.is_pooling and scheduler_output.total_num_scheduled_tokens
        result = None if samples else self.step(None)
        return done(result) if non_block else result

    def sample_tokens(self, grammar_output: Any, non_block: bool = False) -> Any:
        result = self.step(grammar_output)
        return done(result) if non_block else result

    def check_health(self) -> None:
        return

    def shutdown(self) -> None:
        return

    # -- one step ------------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def step(self, grammar: Any) -> ModelRunnerOutput:
        scheduled, self.scheduled = self.scheduled, None
        self.steps += 1
        if 0 < self.dies_after < self.steps:
            raise RuntimeError("the stand-in breaks, as STANDIN_DIES_AFTER says")
        computed = self.take_in(scheduled)
        masks = allowed_tokens(grammar)
        tokens = scheduled.num_scheduled_tokens
        time.sleep(self.step_s + self.prefill_s * sum(count for count in tokens.values() if count > 1))
        draws: list[Draw | None] = []
        vectors: list[torch.Tensor | None] = []
        for name, count in tokens.items():
            sequence = self.sequences[name]
            until = computed[name] + count
            is_complete = until >= len(sequence.tokens)
            if self.is_pooling:
                vectors.append(self.embed(sequence) if is_complete else None)
                continue
            logits = self.forward(sequence, until)
            draws.append(draw(sequence, logits, masks.get(name)) if is_complete else None)
            if draws[-1]:
                sequence.tokens.append(draws[-1].token)
        return self.result(list(tokens), draws, vectors)

    def take_in(self, scheduled: Any) -> dict[str, int]:
        """Lets go of what has ended, begins what is new; how many tokens of each vLLM counts as computed."""
        for name in scheduled.finished_req_ids:
            sequence = self.sequences.pop(name, None)
            if sequence is not None:
                self.ended.append(sequence)
        computed = {}
        for new in scheduled.scheduled_new_reqs:
            seed = getattr(new.sampling_params, "seed", None)
            sequence = Sequence(list(new.prompt_token_ids or []), new.sampling_params, random.Random(seed))
            self.sequences[new.req_id] = sequence
            computed[new.req_id] = new.num_computed_tokens
            self.take_over(sequence, new.num_computed_tokens)
        going_on = scheduled.scheduled_cached_reqs
        return computed | dict(zip(going_on.req_ids, going_on.num_computed_tokens, strict=True))

    def take_over(self, sequence: Sequence, hit: int) -> None:
        """The KV tensors of a prefix hit of so many tokens, where some are kept or in use."""
        others = [*self.ended, *(other for other in self.sequences.values() if other is not sequence)]
        best = max(others, key=sequence.common, default=None)
        if best is not None and 0 < hit <= sequence.common(best):
            sequence.cache = copy.deepcopy(best.cache)
            sequence.keep(hit)

    def forward(self, sequence: Sequence, until: int) -> torch.Tensor:
        """Computes the tokens before `until` that are not yet; the logits `[vocabulary]` of the last."""
        have = min(sequence.cache.get_seq_length(), until - 1)
        sequence.keep(have)  # fewer than there are: vLLM took blocks away and computes them anew
        new = torch.tensor([sequence.tokens[have:until]])
        return self.model(new, past_key_values=sequence.cache, use_cache=True).logits[0, -1].float()

    def embed(self, sequence: Sequence) -> torch.Tensor:
        hidden = self.model.model(torch.tensor([sequence.tokens])).last_hidden_state[0, -1]
        return torch.nn.functional.normalize(hidden, dim=-1)

    def result(self, names: list[str], draws: list[Draw | None], vectors: list[Any]) -> ModelRunnerOutput:
        result = ModelRunnerOutput(
            req_ids=names,
            req_id_to_index={name: index for index, name in enumerate(names)},
            sampled_token_ids=[[drawn.token] if drawn else [] for drawn in draws] or [[] for _ in names],
        )
        if self.is_pooling:
            result.pooler_output = vectors
        elif any(drawn and drawn.ids for drawn in draws):
            result.logprobs = table_of(draws)
        return result


# -- pure --------------------------------------------------------------------------------------------------------------


def allowed_tokens(grammar: Any) -> dict[str, np.ndarray]:
    """For each request under a grammar: 1 for the tokens that it may take, 0 for others."""
    if grammar is None:
        return {}
    rows = zip(grammar.structured_output_request_ids, grammar.grammar_bitmask, strict=False)
    return {name: np.unpackbits(np.ascontiguousarray(row).view(np.uint8), bitorder="little") for name, row in rows}


def draw(sequence: Sequence, logits: torch.Tensor, allowed: np.ndarray | None) -> Draw:
    """The next token: the likeliest, or one by chance where there is a temperature."""
    params = sequence.params
    if allowed is not None:
        logits[torch.from_numpy(allowed[: len(logits)] == 0)] = -float("inf")
    for token, bias in (params.logit_bias or {}).items():
        logits[token] += bias
    if params.temperature and params.temperature > 1e-5:
        weights = torch.softmax(logits / params.temperature, -1).tolist()
        drawn = Draw(sequence.random.choices(range(len(weights)), weights=weights)[0])
    else:
        drawn = Draw(int(logits.argmax()))
    if params.logprobs is not None:
        logprobs = torch.log_softmax(logits, -1)
        top = torch.topk(logprobs, params.logprobs)
        drawn.ids = [drawn.token, *top.indices.tolist()]
        drawn.logprobs = [float(logprobs[drawn.token]), *top.values.tolist()]
        drawn.rank = int((logprobs > logprobs[drawn.token]).sum()) + 1
    return drawn


def table_of(draws: list[Draw | None]) -> LogprobsLists:
    """Log-probabilities `[requests, 1 + top]`, the drawn token first."""
    width = max(len(drawn.ids) for drawn in draws if drawn)
    ids = np.zeros((len(draws), width), np.int32)
    logprobs = np.full((len(draws), width), ABSENT, np.float32)
    ranks = np.ones(len(draws), np.int32)
    for row, drawn in enumerate(draws):
        if drawn and drawn.ids:
            ids[row, : len(drawn.ids)], logprobs[row, : len(drawn.ids)] = drawn.ids, drawn.logprobs
            ranks[row] = drawn.rank
    return LogprobsLists(ids, logprobs, ranks, None)
