"""Notices what the engine of one attempt left out without a word, and tells its operator once what to do.

The rules are those of `wire.truncation`; here they get the context that the engine told, and the model's tokenizer.
"""

from typing import Any, Final

import orjson

from proxy.live.attempt import Caller, Try
from proxy.model.endpoint import ENDPOINTS, Api
from proxy.wire.truncation import Truncated, has_lost_context, is_cut, may_be_cut
from proxy.wire.usage import Usage

_DO: Final = {
    "ollama": "set OLLAMA_CONTEXT_LENGTH, or num_ctx of the model, to more",
    "llama_cpp": "start it with more --ctx-size, of which each slot has its share, or without --context-shift",
}
_WHAT: Final = {
    Truncated.PROMPT: "a prompt was longer, and a part of it was left out",
    Truncated.CONTEXT: "an answer went on beyond it, without the beginning of the prompt",
}


def truncated(one: Try, usage: Usage, caller: Caller) -> str:
    """By what its engine reported; empty: nothing that shows."""
    backend, call = one.backend, one.call
    dialect = backend.dialect
    if not (dialect.cuts_prompts or dialect.outruns_context) or usage.prompt_tokens is None:
        return ""
    model = caller.name_of(call.job, backend)
    context = backend.context_of(model)
    is_alone = one.relay.plan.continuation is None or one.relay.plan.continuation.attempt < 2
    if context is None or not is_alone or not call.request.json or not ENDPOINTS[call.request.endpoint].generates:
        return ""
    found = _found(one, usage, context, model, caller)
    if found is None:
        return ""
    advice = _DO.get(dialect.kind, "give it a longer context")
    backend.warn_once(
        f"backend {backend.name} has {context} tokens of context for {model}: {_WHAT[found]}, without a word. "
        f"To mend it, {advice}."
    )
    return found.value


def _found(one: Try, usage: Usage, context: int, model: str, caller: Caller) -> Truncated | None:
    dialect, call = one.backend.dialect, one.call
    if ENDPOINTS[call.request.endpoint].api is Api.OLLAMA and _has_its_own(call.body):
        return None
    if dialect.cuts_prompts and may_be_cut(usage, context, len(call.body)):
        tokenizers = caller.tokenizers
        tokenizer, estimator = tokenizers.ready(model), tokenizers.estimator(model)
        if is_cut(_fields(call.body), usage, context, tokenizer, estimator):
            return Truncated.PROMPT
    if dialect.outruns_context and has_lost_context(usage, context) and _fields(call.body).get("n") in (None, 1):
        return Truncated.CONTEXT
    return None


def _has_its_own(body: bytes) -> bool:
    """Whether a request of Ollama's API says how long the context is to be."""
    options = _fields(body).get("options") if b'"num_ctx"' in body else None
    return isinstance(options, dict) and "num_ctx" in options


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}
