"""What an engine left out of a prompt without a word, as far as its usage and the request show.

Owns the rules. They would rather miss a cut than tell of one that was none: texts are counted low (runs of one
character as one), and an estimate must exceed the context by more than estimates are wrong.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from proxy.wire.tokens import TEXT_MAX, Estimator, Tokenizer, uncorrected
from proxy.wire.usage import Usage

MAX_B: Final = 4 << 20
"""Of a body; a larger one is not looked at: nobody shall wait for that."""
_FAR: Final = 1.6
"""Estimated tokens by those that fit. Estimates are up to 30 % off, of digits alone 60 %."""
_SURELY: Final = 1.2
"""The same where the engine computed exactly as many tokens as fit, which by chance it seldom does."""
_WORTH: Final = 0.6
"""Estimated tokens by those that fit, from which on it is worth counting them."""
_MARGIN: Final = 16
"""Tokens: engines count the last one, or their own, or do not."""
_RUNS: Final = re.compile(r"(.)\1{3,}", re.DOTALL)
_PROMPTS: Final = ("system", "instructions", "messages", "prompt", "input", "input_prefix", "input_suffix")
_PARTS: Final = ("content", "text")


class Truncated(StrEnum):
    """Closed: also a metric label, and what the header says."""

    PROMPT = "prompt"
    """A part of the prompt was left out."""
    CONTEXT = "context"
    """The context was full before the answer ended, and the engine went on without its beginning."""


def has_lost_context(usage: Usage, context: int) -> bool:
    """Whether prompt and answer together are longer than the context of so many tokens."""
    prompt, output = usage.prompt_tokens, usage.completion_tokens
    return prompt is not None and output is not None and prompt + output > context + _MARGIN


def may_be_cut(usage: Usage, context: int, body_bytes: int) -> bool:
    """Cheap, and no for most: whether it is worth looking into the body."""
    prompt = usage.prompt_tokens
    return prompt is not None and prompt <= context < body_bytes <= MAX_B


def is_cut(
    fields: Mapping[str, Any], usage: Usage, context: int, tokenizer: Tokenizer | None, estimator: Estimator
) -> bool:
    """Whether the text of a request cannot have fit into a context of so many tokens. `tokenizer`: the model's own;
    None: there is none."""
    text = "\n".join(_texts(fields))
    expected = uncorrected(_RUNS.sub(r"\1", text))
    if tokenizer is not None and expected > _WORTH * context:
        try:
            exact = tokenizer.encode_count(text[:TEXT_MAX])
        except ValueError:
            exact = 0
        if exact > context or (exact and len(text) <= TEXT_MAX):
            return exact > context
    return min(1.0, estimator.ratio) * expected > (_SURELY if usage.prompt_tokens == context else _FAR) * context


def _texts(fields: Mapping[str, Any]) -> list[str]:
    """Of messages, prompts and inputs, in whichever API. Pictures, sounds and tools count nothing."""
    found: list[str] = []
    for name in _PROMPTS:
        _gather(fields.get(name), found, 4)
    return found


def _gather(value: Any, found: list[str], depth: int) -> None:
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, list) and depth:
        for item in value:
            _gather(item, found, depth - 1)
    elif isinstance(value, dict) and depth:
        for name in _PARTS:
            _gather(value.get(name), found, depth - 1)
