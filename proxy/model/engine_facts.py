"""What is known of an engine beside its load: what it tells of itself, and what its operator writes where it does not.

Owns the facts, and the labels that are made of them for rules: `precision=fp16`. Operators cannot write `=` into a
label of their own, so that a fact is never a label by chance.
"""

import re
from typing import Any, Final, NamedTuple

from proxy.model.precision import precision_words

NAMED: Final[tuple[str, ...]] = ("engine", "precision", "kv_precision", "attention", "speculative", "gpu", "hardware")
"""Facts that rules may name."""
MAX_CHARS: Final = 64
_OTHER: Final = re.compile(r"[^a-z0-9._:-]+")


class EngineFacts(NamedTuple):
    """Empty, None: not known."""

    engine: str = ""
    """Its kind."""
    version: str = ""
    precision: str = ""
    """Of the weights, as it is told: `Q4_K - Medium`, `fp8`."""
    kv_precision: str = ""
    """Of the KV cache."""
    attention: str = ""
    """What computes attention: `flashinfer`."""
    speculative: bool | None = None
    """Decodes speculatively."""
    acceptance: float | None = None
    """Share of the drafted tokens that were accepted, since it started."""
    prefix_hits: float | None = None
    """Share of the prompt tokens that were found in its prefix cache, since it started."""
    revision: str = ""
    """Of the weights."""
    gpu: str = ""
    hardware: str = ""
    gpu_memory_b: float | None = None
    """Memory of cards that it says it uses."""
    gpu_reserved_b: float | None = None
    """Memory that is taken on its cards, as their driver says."""


UNKNOWN: Final = EngineFacts()


def first_known(first: EngineFacts, second: EngineFacts) -> EngineFacts:
    """What `first` knows, and the rest from `second`."""
    if first == UNKNOWN:
        return second
    known: dict[str, Any] = {n: v for n, v in first._asdict().items() if v is not None and v != ""}
    return second._replace(**known)


def fact_label(name: str, value: str) -> str:
    """The label for a value as a rule writes it: `precision`, `FP16` → `precision=fp16`."""
    return f"{name}={_word(name, value)}"


def labels_of(facts: EngineFacts) -> frozenset[str]:
    """All labels that an engine with these facts has; a precision has those of its kind, too."""
    found: list[str] = []
    for name in NAMED:
        value = getattr(facts, name)
        if name == "speculative":
            found += [] if value is None else [f"{name}={'true' if value else 'false'}"]
        elif name in ("precision", "kv_precision"):
            found += [f"{name}={word}" for word in precision_words(value)]
        elif value:
            found.append(f"{name}={_plain(value)}")
    return frozenset(found)


def denied(told: EngineFacts, written: EngineFacts) -> list[str]:
    """Facts that the operator wrote and the engine denies. Of a precision it is enough that they have one word in
    common."""
    found: list[str] = []
    for name in NAMED:
        one, other = getattr(told, name), getattr(written, name)
        if one in ("", None) or other in ("", None) or name == "engine":
            continue
        if name in ("precision", "kv_precision"):
            if frozenset(precision_words(one)).isdisjoint(precision_words(other)):
                found.append(name)
        elif one is not other and (name == "speculative" or _plain(one) != _plain(other)):
            found.append(name)
    return found


def _word(name: str, value: str) -> str:
    if name in ("precision", "kv_precision"):
        words = precision_words(value)
        return words[0] if words else _plain(value)
    return _plain(value)


def _plain(value: str) -> str:
    return _OTHER.sub("-", value.lower()).strip("-")[:MAX_CHARS]
