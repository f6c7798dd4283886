"""Writes the model of `make_model.py` as a Hugging Face folder: the numbers and words of its GGUF file.

Greedy text is so the same on every engine, and a test can tell whether an answer was resumed on another one or begun
anew. Owns what differs between the two forms: names of tensors, and the order of rows that rotary positions apply to.

Runs in the engine cache's own virtual environment (numpy, safetensors).
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

_OUTER = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_OF_A_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_ROTATED = frozenset({"attn_q", "attn_k"})


def hf_name(name: str) -> str:
    """The name that a tensor of a GGUF file has in a Hugging Face folder."""
    if name in _OUTER:
        return _OUTER[name]
    _, layer, part, _ = name.split(".")
    return f"model.layers.{layer}.{_OF_A_LAYER[part]}.weight"


def pairs_to_halves(rows: np.ndarray, head_width: int) -> np.ndarray:
    """Rows `[heads * head_width, columns]` of a matrix: GGUF rotates neighbours, Hugging Face the halves of a head."""
    columns = rows.shape[1]
    by_pair = rows.reshape(-1, head_width // 2, 2, columns)
    return np.ascontiguousarray(by_pair.swapaxes(1, 2).reshape(rows.shape))


def hf_tensors(tensors: dict[str, np.ndarray], head_width: int) -> dict[str, np.ndarray]:
    """All tensors under Hugging Face's names, in Hugging Face's order of rows."""
    return {
        hf_name(name): pairs_to_halves(tensor, head_width) if _part(name) in _ROTATED else tensor
        for name, tensor in tensors.items()
    }


def _part(name: str) -> str:
    return name.split(".")[-2]


def tokenizer(tokens: list[str], merges: list[str], special: tuple[str, ...], whole: tuple[str, ...]) -> dict[str, Any]:
    """`tokenizer.json`: byte-level BPE as GPT-2 cuts words, but for the tokens that are never cut."""
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": tokens.index(token), "content": token, "special": token in special, **plain}
            for token in (*special, *whole)
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: rank for rank, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in merges],
        },
    }


def write_folder(folder: Path, files: dict[str, dict[str, Any]], tensors: dict[str, np.ndarray]) -> None:
    """Writes the folder whole or not at all: JSON files by name, and the weights."""
    unfinished = folder.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name, content in files.items():
        (unfinished / name).write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    save_file(tensors, unfinished / "model.safetensors", metadata={"format": "pt"})
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(unfinished, folder)
