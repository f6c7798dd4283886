"""Ollama 0.33.0, by its source."""

import re
from typing import Any, Final

from proxy.engines.base import Dialect, ModelCard, Sign
from proxy.engines.load import (
    MAX_MEMORY_B,
    NOTHING,
    SELDOM_S,
    LoadSource,
    Reading,
    count,
    parsed,
    said,
    tokens,
    version,
    word,
)
from proxy.engines.traps import ollama
from proxy.model.abilities import Lack, Traits
from proxy.model.endpoint import Endpoint
from proxy.model.engine_facts import EngineFacts

_LATEST: Final = ":latest"
"""What it adds to a name without a tag; requests may leave it out."""
_CAPABILITIES: Final = {"tools": Lack.TOOLS, "vision": Lack.IMAGES}
_NUM_CTX: Final = re.compile(r"^num_ctx\s+(\d{1,10})\s*$", re.MULTILINE)
_MAX_PARAMETERS: Final = 64 << 10
_MAX_DIGEST: Final = 128
_MOST: Final = 8192
"""Models whose precision is looked at, of one engine."""


def _in_memory(text: bytes) -> Reading:
    entries = _models(text)
    if entries is None:
        return NOTHING
    named = {entry["name"]: entry for entry in entries}
    contexts = ((name, tokens(entry.get("context_length"))) for name, entry in named.items())
    return Reading(
        loaded=frozenset((*named, *(name.removesuffix(_LATEST) for name in named))),
        contexts={name: context for name, context in contexts if context is not None} or None,
        facts=_facts(list(named.values())),
    )


def _facts(entries: list[dict[str, Any]]) -> EngineFacts | None:
    """Of what is in memory. Models of unlike precision have none together."""
    details = [entry.get("details") for entry in entries]
    precisions = {word(one.get("quantization_level")) if isinstance(one, dict) else "" for one in details}
    memory = [count(entry.get("size_vram"), MAX_MEMORY_B) or 0.0 for entry in entries if "size_vram" in entry]
    return said(
        precision=precisions.pop() if len(precisions) == 1 else "", gpu_memory_b=sum(memory) if memory else None
    )


def _installed(text: bytes) -> Reading:
    """Of all that it may load, whatever is in memory."""
    told: dict[str, str] = {}
    for entry in (_models(text) or [])[:_MOST]:
        details = entry.get("details")
        precision = word(details.get("quantization_level")) if isinstance(details, dict) else ""
        if precision:
            told[entry["name"]] = told[entry["name"].removesuffix(_LATEST)] = precision
    return Reading(precisions=told) if told else NOTHING


def _models(text: bytes) -> list[dict[str, Any]] | None:
    """Those that have a name; None: it is no list of models."""
    fields = parsed(text)
    entries = fields.get("models") if isinstance(fields, dict) else None
    if not isinstance(entries, list):
        return None
    return [one for one in entries if isinstance(one, dict) and _is_name(one.get("name"))]


def _card(body: bytes) -> ModelCard:
    """Loaded with less where less is asked for or set for all, never with more. Capabilities are told by newer
    versions, all of them."""
    fields = parsed(body)
    if not isinstance(fields, dict):
        return ModelCard()
    info = fields.get("model_info")
    info = info if isinstance(info, dict) else {}
    own, written = tokens(info.get(f"{info.get('general.architecture')}.context_length")), _num_ctx(fields)
    contexts = [context for context in (own, written) if context is not None]
    told = fields.get("capabilities")
    can = told if isinstance(told, list) and told else _CAPABILITIES
    lacks = frozenset(lack for word, lack in _CAPABILITIES.items() if word not in can)
    return ModelCard(min(contexts) if contexts else None, lacks)


def _num_ctx(fields: dict[str, Any]) -> int | None:
    """Of its parameters, a text of one a line."""
    written = fields.get("parameters")
    found = _NUM_CTX.search(written[:_MAX_PARAMETERS]) if isinstance(written, str) else None
    return tokens(int(found[1])) if found else None


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and name != ""


def _is_version(body: bytes) -> bool:
    """Its models belong to the namespaces of their authors, so that owners need not tell; it has no header either."""
    fields = parsed(body)
    return isinstance(fields, dict) and list(fields) == ["version"] and isinstance(fields["version"], str)


def _has_tags(names: list[Any], server: str) -> bool:
    return bool(names) and all(isinstance(name, str) and ":" in name.rpartition("/")[2] for name in names)


def _digests(body: bytes) -> dict[str, str]:
    """Of the weights, their template and their parameters together."""
    found: dict[str, str] = {}
    for entry in _models(body) or ():
        name, digest = entry["name"], entry.get("digest")
        if isinstance(digest, str):
            found[name] = found[name.removesuffix(_LATEST)] = digest[:_MAX_DIGEST]
    return found


_TAGS: Final = "/api/tags"
_MODELS: Final = LoadSource("/api/ps", _in_memory)

OLLAMA: Final = Dialect(
    "ollama",
    owners=("library",),
    sign=Sign("/api/version", _is_version, _has_tags),
    ports=(11434,),
    loads=(
        _MODELS,
        LoadSource("/api/version", version, every_s=SELDOM_S),
        LoadSource(_TAGS, _installed, every_s=SELDOM_S),
    ),
    in_memory=_MODELS,
    tells=frozenset({"precision"}),
    refusals={
        Lack.CONTEXT: (
            r"the prompt is longer than the context length",
            r"the input length exceeds the context length",
        ),
        Lack.TOOLS: (r'"?\S+ does not support tools\Z',),
        Lack.IMAGES: (
            r'"?\S+ does not support (?:images?|vision)\Z',
            r"this model is missing data required for image input\Z",
        ),
        Lack.AUDIO: (r"the current model does not support audio input",),
        Lack.PROMPTS: (r"json: cannot unmarshal array into go struct field \w+\.prompt\b",),
        Lack.ENDPOINT: (r'"?\S+ does not support (?:chat|generate|completions?|embeddings?)\Z',),
    },
    no_model=(r'model ".{1,256}" not found', r"model '.{1,256}' not found"),
    usage_on_request=frozenset({Endpoint.CHAT}),
    zero_usage=frozenset({Endpoint.COMPLETIONS}),
    revision_route=_TAGS,
    revisions=_digests,
    cuts_prompts=True,
    outruns_context=True,
    lists_at=_TAGS,
    card_at="/api/show",
    card=_card,
    greeting=b"Ollama is running",
    routes=frozenset(
        {"/api/chat", "/api/embed", "/api/embeddings", "/api/generate", "/api/ps", "/api/show", "/api/tags"}
        | {"/api/version"}
    ),
    traps=ollama.TRAPS,
    traits=Traits(loose_names=True, no_arrays=frozenset({Endpoint.COMPLETIONS})),
)
