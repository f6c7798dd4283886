"""The formula of the KV cache."""

import typing

import pytest
from pydantic import ValidationError

from proxy.config.plain import read
from proxy.model.kv_cache import _BYTES_PER_32, Dtype, KvCacheSettings

GIB = 1 << 30


def shape(**changes: object) -> KvCacheSettings:
    llama_3_8b = {"layers": 32, "kv_heads": 8, "head_dim": 128, "memory": "24GiB"}
    return read(KvCacheSettings, {**llama_3_8b, **changes})


@pytest.mark.parametrize(
    ("changes", "bytes_per_token", "tokens"),
    [
        ({}, 131_072, 196_608),
        ({"dtype": "fp32"}, 262_144, 98_304),
        ({"dtype": "bf16"}, 131_072, 196_608),
        ({"dtype": "fp8"}, 65_536, 393_216),
        ({"dtype": "int4"}, 32_768, 786_432),
        ({"dtype": "q8_0"}, 69_632, 24 * GIB // 69_632),
        ({"dtype": "q4_0"}, 36_864, 24 * GIB // 36_864),
        ({"kv_heads": 32}, 524_288, 49_152),
        ({"utilization": 0.9, "weights": "15GiB"}, 131_072, (int(24 * GIB * 0.9) - 15 * GIB) // 131_072),
        ({"layers": 1, "kv_heads": 1, "head_dim": 1, "dtype": "int4", "memory": "10B"}, 1, 10),
    ],
)
def test_tokens_by_the_formula(changes: dict[str, object], bytes_per_token: int, tokens: int) -> None:
    assert shape(**changes).bytes_per_token == bytes_per_token
    assert shape(**changes).tokens == tokens


def test_cards_share_heads_and_weights() -> None:
    assert shape(tensor_parallel=2).tokens == 2 * 196_608
    assert shape(tensor_parallel=8, weights="80GiB").tokens == (24 - 10) * GIB // (131_072 // 8)
    assert shape(tensor_parallel=16).tokens == shape(tensor_parallel=8).tokens, "a head is held by two cards"


def test_blocks_are_given_out_whole() -> None:
    # as vLLM reports a budget: num_gpu_blocks x block_size
    assert shape(memory="100MiB", block=16).tokens == 800
    assert shape(memory="101MiB", block=16).tokens == 800
    assert shape(memory="102MiB", block=16).tokens == 816
    assert shape(memory="100MiB", block=16).requests(17) == 25, "two blocks each"
    assert shape(memory="100MiB").requests(17) == 47
    assert shape(memory="100MiB").requests(800) == 1
    assert shape(memory="100MiB").requests(801) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layers": 0}, "greater than or equal to 1"),
        ({"kv_heads": 0}, "greater than or equal to 1"),
        ({"head_dim": -1}, "greater than or equal to 1"),
        ({"layers": 1e9}, "less than or equal to"),
        ({"dtype": "fp7"}, "'fp32', 'fp16'"),
        ({"memory": 24}, "no unit"),
        ({"memory": 0}, "leave nothing for KV"),
        ({"weights": "24GiB"}, "leave nothing for KV of 24 GiB"),
        ({"weights": "-1GiB"}, "neither negative"),
        ({"utilization": 0}, "greater than 0"),
        ({"utilization": 1.1}, "less than or equal to 1"),
        ({"utilization": 0.5, "weights": "13GiB"}, "at utilization 0.5"),
        ({"tensor_parallel": 3}, "8 kv_heads cannot be shared by 3 cards"),
        ({"memory": "100KiB"}, "do not hold one block"),
        ({"memory": "1MiB", "block": 16}, "do not hold one block of 16 tokens"),
        ({"heads": 32}, "Extra inputs"),
    ],
)
def test_impossible_numbers_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        shape(**changes)


def test_every_type_has_a_size() -> None:
    assert list(typing.get_args(Dtype)) == list(_BYTES_PER_32)
