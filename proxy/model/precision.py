"""How exact the weights of a model are, in the words that rules compare: what engines and operators write is not alike.

    Q4_K - Medium → q4_k_m, int4, 4bit        torch.bfloat16 → bf16, 16bit        AWQ → awq

Owns the words. What is not known has its own name and no other.
"""

import re
from typing import Final, NamedTuple


class _Family(NamedTuple):
    """In small letters, `_` for whatever stands between."""

    kind: str
    bits: str
    spelled: re.Pattern[str]
    """How the kind itself is written."""
    made_so: re.Pattern[str]
    """Ways to make it that have names of their own."""


def _family(kind: str, bits: int, spelled: str, made_so: str = r"(?!)") -> _Family:
    return _Family(kind, f"{bits}bit", re.compile(spelled), re.compile(made_so))


_FAMILIES: Final = (
    _family("bf16", 16, r"bf_?16|bfloat_?16"),
    _family("fp16", 16, r"fp?_?16|float_?16|half"),
    _family("fp32", 32, r"fp?_?32|float_?32|float"),
    _family("fp8", 8, r"fp?_?8|float_?8", r"(?:fp8|float8)_.+|e[45]m[23](?:fn|fnuz)?"),
    _family("fp4", 4, r"fp?_?4|float_?4", r"(?:nv|mx)fp4(?:_.+)?"),
    _family("int8", 8, r"int_?8|i8", r"q8(?:_.+)?|w8a(?:8|16)"),
    _family("int4", 4, r"int_?4|i4", r"i?q4(?:_.+)?|w4a(?:8|16)|nf4"),
    _family("int6", 6, r"int_?6", r"i?q6(?:_.+)?"),
    _family("int5", 5, r"int_?5", r"i?q5(?:_.+)?"),
    _family("int3", 3, r"int_?3", r"i?q3(?:_.+)?"),
    _family("int2", 2, r"int_?2", r"i?q2(?:_.+)?"),
)
_OTHER: Final = re.compile(r"[^a-z0-9.]+")
_BITS: Final = re.compile(r"([0-9]{1,2})_?bits?")
_SIZES: Final = {"small": "s", "medium": "m", "large": "l"}
_BEFORE: Final = ("torch.", "torch_", "all_", "mostly_")
_NOTHING: Final = frozenset({"", "auto", "unknown", "none"})


def precision_words(written: str) -> tuple[str, ...]:
    """The words for it, the most exact first; none for what says nothing."""
    name = _OTHER.sub("_", written.lower()).strip("_")
    for before in _BEFORE:
        name = name.removeprefix(before)
    head, _, size = name.rpartition("_")
    if size in _SIZES:
        name = f"{head}_{_SIZES[size]}"
    if name in _NOTHING:
        return ()
    bits = _BITS.fullmatch(name)
    if bits is not None:
        return (f"{bits.group(1)}bit",)
    for family in _FAMILIES:
        if family.spelled.fullmatch(name):
            return family.kind, family.bits
        if family.made_so.fullmatch(name):
            return name, family.kind, family.bits
    return (name,)
