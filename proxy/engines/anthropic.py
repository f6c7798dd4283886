"""Anthropic's own API, by its reference: a key goes in `x-api-key`, and each request says of which version it is.

Its route in OpenAI's shape reads a bearer token, as the clients write that ask for it. It is known by its host, or by
`kind`: it lists its models only to who shows a key where it reads one.
"""

from typing import Final

from proxy.engines.base import ASKED_FOR_USAGE, Dialect
from proxy.model.abilities import Lack

ANTHROPIC: Final = Dialect(
    "anthropic",
    mistaken=("claude",),
    hosts=frozenset({"api.anthropic.com"}),
    key_header="x-api-key",
    bearer_at=frozenset({"/v1/chat/completions"}),
    always_says=(("anthropic-version", "2023-06-01"),),
    models_at="/v1/models?limit=1000",  # else the first 20
    usage_on_request=ASKED_FOR_USAGE,
    refusals={Lack.CONTEXT: (r"prompt is too long: \d+ tokens > (\d+) maximum",)},
)
