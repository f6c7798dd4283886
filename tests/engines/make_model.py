"""Writes a small random-weight language model as a GGUF file and as a Hugging Face folder of the same numbers.

Owns the numbers and the vocabulary; knows no server.

The model says nothing sensible and says it reproducibly: same recipe, same bytes. It exists so that a real engine has
real work: a tokenizer, a chat template, a KV cache, a step per token slow enough that a stream can be interrupted.

Runs in the engine cache's own virtual environment (numpy, gguf, safetensors): `make engines` calls it.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.engines.hf_folder import hf_tensors, tokenizer, write_folder

RECIPE = 8
"""Number of what is written; another one makes every cached model stale."""
CONTEXT_TOKENS = 2048
SEED = 20
FAINT = 0.1
"""Of the tokens that are said where a grammar lets no other through."""
END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SPECIAL = (END_OF_TEXT, TURN_START, TURN_END)
TOOL_CALLS = ("<tool_call>", "</tool_call>")
"""The last tokens. Whoever wants a call out of random numbers biases the first of them."""
CHATML = (
    "{% if tools %}<|im_start|>system\n<tools>{% for tool in tools %}\n{{ tool | tojson }}{% endfor %}\n</tools>\n"
    'Answer with <tool_call>{"name": NAME, "arguments": OBJECT}</tool_call><|im_end|>\n{% endif %}'
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] or '' }}"
    "{% for call in message['tool_calls'] or [] %}"
    '<tool_call>{"name": "{{ call.function.name }}", '
    '"arguments": {{ call.function.arguments | tojson }}}</tool_call>'
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Tools as Hermes and Qwen write them, which all of the engines know how to read."""
# Words become tokens, with and without a space before them. A few are not ASCII: one token of several UTF-8 bytes.
_WORDS = """
a able about above after again all also always among an and answer any are around as ask at away back be
because been before began being below between big both bring but by call came can case change city close
come could country cut day did different do does done door down each early earth end enough even every
example eye face fact far farm father few find fire first five follow food for form four from front full
gave get girl give go good great group grow had hand hard has have he head hear help her here high him his
hold home house how idea if important in into is it its just keep kind king know land language large last
later learn leave left letter life light like line list little live long look made make man many may me mean
men might mile money more morning most mother mountain move much music must my name near need never new next
night no north not nothing now number of off often old on once one only open or order other our out over own
page paper part people perhaps picture place plan plant play point power press problem put question quick
rain ran read real red rest right river road rock room round rule run said same saw say school sea second
see sentence set she ship short should show side since six sleep slow small so some song soon sound south
stand star start state still stop story street study such sun sure table take talk tell ten than that the
their them then there these they thing think this those thought three through time to together too took town
travel tree true try turn two under until up us use very voice walk want war warm was watch water way we
week well went were what wheel when where which while white who why will wind with without wood word work
world would write year yes you young your café naïve über señor año día été où ça straße größe źródło λόγος
мир слово время 水 火 山 日本 東京 안녕 नमस्ते שלום 🙂 🚀 →
"""
WORDS = tuple(_WORDS.split())


@dataclass(frozen=True)
class Shape:
    """Sizes of a Llama-architecture model."""

    layers: int = 6
    width: int = 384
    feed_forward: int = 1024
    heads: int = 6
    kv_heads: int = 3
    rope_base: float = 10_000.0
    norm_epsilon: float = 1e-5

    @property
    def head_width(self) -> int:
        return self.width // self.heads


# -- vocabulary: byte-level BPE as GPT-2 writes it ---------------------------------------------------------------------


def byte_letters() -> dict[int, str]:
    """Each byte's printable stand-in: itself where printable, else a letter from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(0x100 + rank) for rank, byte in enumerate(hidden)}


def build_vocabulary() -> tuple[list[str], list[str]]:
    """The tokens in order of their id, and the merges in order of their rank: every word grows byte by byte."""
    letters = byte_letters()
    tokens = [*SPECIAL, *(letters[byte] for byte in range(256))]
    known = set(tokens)
    merges = []
    for spelling in (prefix + word for word in WORDS for prefix in (" ", "")):
        pieces = [letters[byte] for byte in spelling.encode()]
        grown = pieces[0]
        for piece in pieces[1:]:
            if grown + piece not in known:
                merges.append(f"{grown} {piece}")
                tokens.append(grown + piece)
                known.add(grown + piece)
            grown += piece
    return [*tokens, *TOOL_CALLS], merges


def pieces_of(spelling: str, ranks: dict[str, int]) -> list[str]:
    """The tokens that a text without a border in it is read as: always the pair of the lowest rank becomes one."""
    letters = byte_letters()
    pieces = [letters[byte] for byte in spelling.encode()]
    while len(pieces) > 1:
        pairs = [f"{one} {other}" for one, other in pairwise(pieces)]
        best = min(pairs, key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        at = pairs.index(best)
        pieces[at : at + 2] = ["".join(pieces[at : at + 2])]
    return pieces


def is_printable(token: str) -> bool:
    """Whether a token is whole UTF-8 characters: what a grammar may want, rather than white space without end."""
    value = {letter: byte for byte, letter in byte_letters().items()}
    if token in SPECIAL or token in TOOL_CALLS:
        return False
    try:
        return bytes(value[letter] for letter in token).decode().isprintable()
    except UnicodeDecodeError:
        return False


def sayable(merges: list[str]) -> frozenset[str]:
    """Tokens that may come out of the model unasked: words behind a space that are read back as the token they are.
    Without that nobody could go on with a text that another engine began."""
    ranks = {merge: rank for rank, merge in enumerate(merges)}
    read = (pieces_of(f" {word}", ranks) for word in WORDS)
    return frozenset(pieces[0] for pieces in read if len(pieces) == 1)


# -- weights -----------------------------------------------------------------------------------------------------------


def build_tensors(shape: Shape, tokens: list[str], merges: list[str]) -> dict[str, np.ndarray]:
    """All tensors under GGUF's names. Wide weights, so that greedy text wanders instead of repeating itself."""
    random = np.random.default_rng(SEED)

    def matrix(rows: int, columns: int, spread: float = 1.5) -> np.ndarray:
        return (random.standard_normal((rows, columns)) * spread / columns**0.5).astype(np.float32)

    def ones() -> np.ndarray:
        return np.ones(shape.width, dtype=np.float32)

    kv_width = shape.kv_heads * shape.head_width
    head = matrix(len(tokens), shape.width)
    said = sayable(merges)
    scale = [1.0 if token in said else FAINT if is_printable(token) else 0.0 for token in tokens]
    head *= np.array(scale, dtype=np.float32)[:, None]
    tensors = {
        "token_embd.weight": matrix(len(tokens), shape.width, spread=shape.width**0.5),
        "output_norm.weight": ones(),
        "output.weight": head,
    }
    for layer in range(shape.layers):
        block = {
            "attn_norm": ones(),
            "attn_q": matrix(shape.width, shape.width),
            "attn_k": matrix(kv_width, shape.width),
            "attn_v": matrix(kv_width, shape.width),
            "attn_output": matrix(shape.width, shape.width),
            "ffn_norm": ones(),
            "ffn_gate": matrix(shape.feed_forward, shape.width),
            "ffn_up": matrix(shape.feed_forward, shape.width),
            "ffn_down": matrix(shape.width, shape.feed_forward),
        }
        tensors |= {f"blk.{layer}.{name}.weight": tensor for name, tensor in block.items()}
    return tensors


# -- the file ----------------------------------------------------------------------------------------------------------


def describe_architecture(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)


def describe_vocabulary(writer: gguf.GGUFWriter, tokens: list[str], merges: list[str]) -> None:
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    kinds = dict.fromkeys(SPECIAL, gguf.TokenType.CONTROL) | dict.fromkeys(TOOL_CALLS, gguf.TokenType.USER_DEFINED)
    writer.add_token_types([kinds.get(token, gguf.TokenType.NORMAL) for token in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(tokens.index(END_OF_TEXT))
    writer.add_eos_token_id(tokens.index(TURN_END))
    writer.add_pad_token_id(tokens.index(END_OF_TEXT))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)


def write_gguf(path: Path, shape: Shape, tokens: list[str], merges: list[str], tensors: dict[str, np.ndarray]) -> None:
    """Write the file whole or not at all."""
    unfinished = path.with_suffix(".part")
    writer = gguf.GGUFWriter(unfinished, "llama")
    writer.add_name(path.stem)
    describe_architecture(writer, shape)
    describe_vocabulary(writer, tokens, merges)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(unfinished, path)


# -- the folder --------------------------------------------------------------------------------------------------------


def hf_files(shape: Shape, tokens: list[str], merges: list[str]) -> dict[str, dict[str, Any]]:
    """The JSON files of a Hugging Face folder, by name."""
    ends = {name: tokens.index(token) for name, token in _ENDS.items()}
    architecture = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "float32",
        "hidden_act": "silu",
        "vocab_size": len(tokens),
        "hidden_size": shape.width,
        "intermediate_size": shape.feed_forward,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_width,
        "max_position_embeddings": CONTEXT_TOKENS,
        "rms_norm_eps": shape.norm_epsilon,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_base},
        "tie_word_embeddings": False,
        "attention_bias": False,
        "mlp_bias": False,
        **{f"{name}_token_id": rank for name, rank in ends.items()},
    }
    return {
        "config.json": architecture,
        "generation_config.json": {f"{name}_token_id": rank for name, rank in ends.items()},
        "tokenizer.json": tokenizer(tokens, merges, SPECIAL, TOOL_CALLS),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": CONTEXT_TOKENS,
            "clean_up_tokenization_spaces": False,
            "chat_template": CHATML,
            **{f"{name}_token": token for name, token in _ENDS.items()},
        },
    }


_ENDS = {"bos": END_OF_TEXT, "eos": TURN_END, "pad": END_OF_TEXT}


def write_model(folder: Path, name: str) -> None:
    """Writes `NAME.gguf` and the folder `NAME`, each whole or not at all."""
    shape = Shape()
    tokens, merges = build_vocabulary()
    tensors = build_tensors(shape, tokens, merges)
    write_gguf(folder / f"{name}.gguf", shape, tokens, merges, tensors)
    write_folder(folder / name, hf_files(shape, tokens, merges), hf_tensors(tensors, shape.head_width))
    parameters = sum(tensor.size for tensor in tensors.values())
    print(f"{name}: {parameters / 1e6:.1f} M parameters, {len(tokens)} tokens, context {CONTEXT_TOKENS}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a small random-weight model as a GGUF file and a folder.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default="tiny")
    given = parser.parse_args()
    write_model(given.folder, given.name)


if __name__ == "__main__":
    main()
