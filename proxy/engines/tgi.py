"""Text Generation Inference 3.3.6, by its source."""

from typing import Final

from proxy.engines.base import Dialect, Fields
from proxy.engines.load import METRICS, NOTHING, SELDOM_S, LoadSource, Reading, parsed, said, tokens, word
from proxy.engines.prometheus import total
from proxy.engines.traps import tgi
from proxy.model.abilities import Lack, Traits
from proxy.model.endpoint import Endpoint


def _load(text: bytes) -> Reading:
    return Reading(
        running=total(text, b"tgi_batch_current_size"),
        waiting=total(text, b"tgi_queue_size"),
        odometer=total(text, b"tgi_request_count"),
    )


def _info(text: bytes) -> Reading:
    """Any name is taken for its one model. How many it takes at once is no number of seats: the rest is refused."""
    fields = parsed(text)
    if not isinstance(fields, dict):
        return NOTHING
    model, context = word(fields.get("model_id")), tokens(fields.get("max_total_tokens"))
    return Reading(
        contexts={model: context} if model and context is not None else None,
        facts=said(version=word(fields.get("version")), revision=word(fields.get("model_sha"))),
    )


def _is_entry(entry: Fields) -> bool:
    """Its one model belongs to itself, and was made in 1970."""
    created, owner = entry.get("created"), entry.get("owned_by")
    return created == 0 and not isinstance(created, bool) and isinstance(owner, str) and entry.get("id") == owner


TGI: Final = Dialect(
    "tgi",
    mistaken=("textgenerationinference",),
    is_entry=_is_entry,
    loads=(LoadSource(METRICS, _load), LoadSource("/info", _info, every_s=SELDOM_S)),
    routes=frozenset({"/", "/generate", "/generate_stream", "/info", "/tokenize", "/chat_tokenize", "/invocations"}),
    refusals={
        Lack.CONTEXT: (
            r"(?:input validation error: )?`inputs` tokens \+ `max_new_tokens` must be <= (\d+)",
            r"(?:input validation error: )?`inputs` must have less than (\d+) tokens",
        ),
    },
    finish_reasons={"stop_sequence": "stop", "eos_token": "stop"},
    health="/health",  # a shard failed
    usage_on_request=frozenset({Endpoint.CHAT}),
    one_token_per_event=True,
    continues_text=True,
    traps=tgi.TRAPS,
    trap_routes=(tgi.INFO_ROUTE,),
    traits=Traits(counts_answer=True, no_arrays=frozenset({Endpoint.COMPLETIONS})),
)
