"""`transformers serve` 5.23.0, by recorded exchanges and its source."""

from typing import Any, Final

from proxy.engines.base import STATUS, Dialect, Fields, Sign
from proxy.engines.load import parsed
from proxy.engines.traps import transformers
from proxy.model.abilities import Lack, Traits
from proxy.model.endpoint import Endpoint
from proxy.model.whole_answers import WholeAnswers

_MAX_ANSWER: Final = 4096
"""One request at a time, whose client may be gone: it runs to its end all the same, and nobody else is served."""
_SERVE_ROUTES: Final = frozenset({"/load_model", "/reset", "/v1/chat/completions"})
"""Nobody else has all of them."""


def _is_entry(entry: Fields) -> bool:
    created, status = entry.get("created"), entry.get("status")
    if created != 0 or isinstance(created, bool):
        return False
    return isinstance(status, dict) and isinstance(status.get("value"), str)


def _is_own_api(body: bytes) -> bool:
    fields = parsed(body)
    paths = fields.get("paths") if isinstance(fields, dict) else None
    return isinstance(paths, dict) and _SERVE_ROUTES.issubset(paths)


def _is_uvicorn(names: list[Any], server: str) -> bool:
    return "uvicorn" in server


TRANSFORMERS: Final = Dialect(
    "transformers",
    mistaken=("hf", "huggingface"),
    is_entry=_is_entry,
    sign=Sign("/openapi.json", _is_own_api, _is_uvicorn),
    state_at=STATUS,
    routes=frozenset({"/v1/systemone"}),
    refusals={Lack.PROMPTS: (r"prompt must be a string\b",)},
    no_model=(r"server is pinned to '",),
    strips=("cache_salt", "data_parallel_rank", "extra_key", "priority", "request_id", "rid", "stream_interval"),
    max_answer=_MAX_ANSWER,
    health="/health",  # its worker for continuous batching died
    streamed_whole=WholeAnswers(blank="", asks_usage=False, omits=frozenset({"system_fingerprint"})),
    streams_unless_told=frozenset({Endpoint.RESPONSES}),
    says_done=False,
    answers_500_to_bad_requests=True,
    one_token_per_event=True,
    traps=transformers.TRAPS,
    traits=Traits(no_arrays=frozenset({Endpoint.COMPLETIONS})),
)
