"""Precisions as engines and operators write them, in words that rules compare."""

import pytest

from proxy.model.precision import precision_words


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Q4_K - Medium", ("q4_k_m", "int4", "4bit")),
        ("Q4_K_M", ("q4_k_m", "int4", "4bit")),
        ("IQ4_XS", ("iq4_xs", "int4", "4bit")),
        ("all F32", ("fp32", "32bit")),
        ("mostly F16", ("fp16", "16bit")),
        ("torch.bfloat16", ("bf16", "16bit")),
        ("FP16", ("fp16", "16bit")),
        ("half", ("fp16", "16bit")),
        ("fp8_e4m3", ("fp8_e4m3", "fp8", "8bit")),
        ("fp8", ("fp8", "8bit")),
        ("nvfp4", ("nvfp4", "fp4", "4bit")),
        ("w4a16", ("w4a16", "int4", "4bit")),
        ("AWQ", ("awq",)),
        ("4-bit", ("4bit",)),
        ("auto", ()),
        ("", ()),
        ("---", ()),
    ],
)
def test_words(written: str, words: tuple[str, ...]) -> None:
    assert precision_words(written) == words


def test_a_word_is_its_own_word() -> None:
    for written in ("Q4_K - Medium", "fp16", "fp8_e4m3", "awq", "16 bit"):
        for word in precision_words(written):
            assert word in precision_words(word)
