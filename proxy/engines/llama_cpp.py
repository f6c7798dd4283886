"""llama-server of llama.cpp 0.5.0-dev, by recorded exchanges and its source.

It says 500 for invalid JSON. Its counts stand in `timings`, which move to another event when usage is asked for.
"""

from typing import Final

from proxy.engines.base import STATUS, TOKENS, Dialect
from proxy.engines.load import METRICS, NOTHING, LoadSource, Reading, count, parsed, said, share, word
from proxy.engines.prometheus import total
from proxy.engines.traps import llama_cpp
from proxy.model.abilities import Lack, Traits
from proxy.model.endpoint import Endpoint
from proxy.model.engine_facts import EngineFacts
from proxy.model.whole_answers import WholeAnswers

_POLL_S: Final = 2.0
"""Its worker looks for clients that left after a second without a result of any task, and a scrape is one."""
_CALM_BUILD: Final = 10621
"""Known to answer `/metrics` in its sleep, and to fall asleep though it is asked for them. Earlier ones reload their
model for it."""


def _props(text: bytes) -> Reading:
    """The one route that an engine answers in its sleep, and without being kept awake by it."""
    props = parsed(text)
    if not isinstance(props, dict):
        return NOTHING
    is_sleeping, usual = props.get("is_sleeping"), props.get("default_generation_settings")
    parameters = usual.get("params") if isinstance(usual, dict) else None
    drafts = parameters.get("speculative.types") if isinstance(parameters, dict) else None
    told = said(
        version=word(props.get("build_info")),
        precision=word(props.get("model_ftype")),
        speculative=drafts != "none" if isinstance(drafts, str) and drafts else None,
    )
    return Reading(
        seats=count(props.get("total_slots")),
        unloaded=is_sleeping if isinstance(is_sleeping, bool) else None,
        facts=told,
    )


def _metrics(text: bytes) -> Reading:
    return Reading(
        running=total(text, b"llamacpp:requests_processing"),
        waiting=total(text, b"llamacpp:requests_deferred"),
        odometer=total(text, b"llamacpp:prompt_tokens_total"),
        facts=_facts(text),
    )


def _facts(text: bytes) -> EngineFacts | None:
    """Drafts are counted, as 0, where there are none, too. Prompt tokens are counted without those from its cache."""
    drafted = total(text, b"llamacpp:spec_decode_num_draft_tokens_total")
    cached, computed = total(text, b"llamacpp:prompt_tokens_cached_total"), total(text, b"llamacpp:prompt_tokens_total")
    return said(
        speculative=True if drafted else None,
        acceptance=share(total(text, b"llamacpp:spec_decode_num_accepted_tokens_total"), drafted),
        prefix_hits=None if cached is None or computed is None else share(cached, cached + computed),
    )


def _slots(text: bytes) -> Reading:
    """Every slot is a seat; what waits behind them is not told here. The context of a slot may be shared or its own,
    so that no budget follows from it."""
    slots = parsed(text)
    if not isinstance(slots, list) or not slots or not all(isinstance(slot, dict) for slot in slots):
        return NOTHING
    busy = [slot.get("is_processing") for slot in slots]
    if not all(isinstance(is_busy, bool) for is_busy in busy):
        return NOTHING
    return Reading(running=float(sum(busy)), waiting=0.0 if not all(busy) else None, seats=float(len(slots)))


_WHOLE: Final = WholeAnswers(
    blank="",
    counts_first=True,
    dates_end=True,
    unlike=(
        "logprobs",  # of a token whose text is held back nothing is told
        "top_logprobs",
        "n_probs",
        "stop",  # the beginning of a stop that the limit cuts is left out
        "stop_sequences",
        "return_progress",
        "verbose",
    ),
)
_STATE: Final = LoadSource("/props", _props)

LLAMA_CPP: Final = Dialect(
    "llama_cpp",
    spellings=("llama.cpp", "llama-cpp", "llamacpp", "llama-server"),
    mistaken=("llama", "gguf", "ggml"),
    owners=("llamacpp",),
    server="llama.cpp",
    ports=(8080,),
    context_at=("meta", "n_ctx"),  # of one slot
    state_at=STATUS,  # without a model of its own
    loads=(
        _STATE,
        LoadSource(METRICS, _metrics, stirs=True, calm_from=_CALM_BUILD, every_s=_POLL_S),
        LoadSource("/slots", _slots, stirs=True, every_s=_POLL_S),
    ),
    in_memory=_STATE,
    tells=frozenset({"precision", "speculative"}),
    routes=TOKENS
    | {"/v1/rerank", "/v1/reranking", "/rerank", "/reranking"}
    | {"/apply-template", "/completion", "/embedding", "/infill", "/props"},
    refusals={
        Lack.CONTEXT: (
            r"(?:the )?request(?: \(\d+ tokens\))? exceeds the available context size(?: \((\d+))?",
            r"input \(\d+ tokens\) is too large to process\. increase the physical batch size \(current "
            r"batch size: (\d+)",
        ),
        Lack.TOOLS: (r"(?:tools|tool_choice) param requires --jinja flag\Z",),
        Lack.IMAGES: (r"image input is not supported\b",),
        Lack.AUDIO: (r"audio input is not supported\b",),
        Lack.ENDPOINT: (
            r"this (?:server|model) does not support \w+",
            r"pooling type 'none' is not oai compatible",
        ),
    },
    mistakes=(r"\[json\.exception\.",),
    answers_500_to_bad_requests=True,
    streamed_whole=_WHOLE,
    one_token_per_event=True,
    continues_text=True,
    outruns_context=True,  # with --context-shift
    traps=llama_cpp.TRAPS,
    traits=Traits(no_arrays=frozenset({Endpoint.COMPLETIONS})),  # its usage is that of the first prompt
)
