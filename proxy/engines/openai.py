"""OpenAI's API itself, and whatever speaks it without being known: vendors and LM Studio. Engines ignore options that
they do not know."""

from typing import Final

from proxy.engines.base import ASKED_FOR_USAGE, Dialect
from proxy.model.abilities import Lack

OPENAI: Final = Dialect(
    "openai",
    mistaken=("openaicompatible", "lmstudio", "localai"),
    ports=(1234,),  # LM Studio
    has_other_routes=True,
    usage_on_request=ASKED_FOR_USAGE,
    refusals={
        Lack.CONTEXT: (
            r"this model's maximum context length is (\d+)",
            r"the input token count(?: \(\d+\))? exceeds the maximum number of tokens allowed \(?(\d+)",  # Gemini
            r"prompt contains \d+ tokens.{0,64} too large for model with (\d+) maximum context length",  # Mistral
            # LM Studio:
            r"trying to keep the first \d+ tokens when .{0,64} is loaded with context length of only (\d+) ",
        ),
    },
)
