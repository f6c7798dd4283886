"""SGLang 0.5.23, by its source."""

from typing import Final

from proxy.engines.base import ASKED_FOR_USAGE, MAX_MODEL_LEN, RANKING, TOKENS, Dialect
from proxy.engines.load import METRICS, LoadSource, Reading
from proxy.engines.prometheus import mean, total
from proxy.engines.traps import sglang
from proxy.model.abilities import Lack, Traits


def _load(text: bytes) -> Reading:
    return Reading(
        running=total(text, b"sglang:num_running_reqs"),
        waiting=total(text, b"sglang:num_queue_reqs"),
        kv_usage=mean(text, b"sglang:token_usage"),
        kv_tokens=total(text, b"sglang:max_total_num_tokens"),
        odometer=total(text, b"sglang:prompt_tokens_total"),
    )


SGLANG: Final = Dialect(
    "sglang",
    owners=("sglang",),
    ports=(30000,),
    context_at=MAX_MODEL_LEN,
    loads=(LoadSource(METRICS, _load),),
    routes=RANKING | TOKENS | {"/v1/classify", "/v1/tokenize", "/v1/detokenize", "/classify", "/encode", "/generate"},
    refusals={
        Lack.CONTEXT: (
            r"the input \(\d+ tokens\) is longer than the model's context length \((\d+)",
            r"requested token count exceeds the model's maximum context length of (\d+)",
        ),
        Lack.IMAGES: (r"multimodal data provided, but model does not support multimodal requests",),
    },
    usage_on_request=ASKED_FOR_USAGE,
    cached_flag="--enable-cache-report",
    continuous_usage=True,
    continues_chat=True,
    continues_text=True,
    salts_cache=True,
    traps=sglang.TRAPS,
    trap_routes=sglang.SETTINGS_ROUTES,
    traits=Traits(counts_answer=True),
)
