"""What an engine that takes arrays answers, as a pure function of the body: alone and together must be the same."""

import hashlib
import json
from typing import Any

from proxy.model.endpoint import Endpoint
from proxy.wire import batching
from proxy.wire.slicing import tokens_of


def answer(endpoint: Endpoint, body: bytes, request_id: str, *, numbered: bool = True) -> dict[str, Any]:
    """Each entry depends on its own input and on the parameters alone; usage counts every input."""
    fields = json.loads(body)
    part = batching.part(endpoint, fields)
    assert part is not None
    tokens = tokens_of(part)
    names = ("input", "prompt", "documents", "text_1", "text_2", "top_n")
    rest = json.dumps({name: fields[name] for name in sorted(fields) if name not in names})
    made = [_entry(endpoint, i, entry, rest, part.choices) for i, entry in enumerate(part.inputs)]
    entries = [entry for one in made for entry in one]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens, "prompt_tokens_details": {"cached_tokens": 0}}
    head = {"id": f"x-{request_id}", "model": fields["model"], "usage": usage}
    if endpoint is Endpoint.MODERATIONS:
        for entry in entries:
            del entry["index"]
        return {"id": f"x-{request_id}", "model": fields["model"], "results": entries}
    if endpoint is Endpoint.RERANK:
        entries.sort(key=lambda entry: -entry["relevance_score"])
        return {**head, "results": entries[: fields.get("top_n") or len(entries)]}
    if endpoint is Endpoint.COMPLETIONS:
        written = sum(len(entry["token_ids"]) for entry in entries)
        usage |= {"completion_tokens": written, "total_tokens": tokens + written}
        return {**head, "object": "text_completion", "choices": entries}
    return {"object": "list", **head, "data": entries}


def _entry(endpoint: Endpoint, place: int, entry: Any, rest: str, choices: int) -> list[dict[str, Any]]:
    seed = hashlib.sha256(f"{json.dumps(entry)}|{rest}".encode()).digest()
    if endpoint is Endpoint.COMPLETIONS:
        return [
            {"index": place * choices + k, "text": seed.hex()[k : k + 9], "token_ids": list(seed[k : k + 3])}
            for k in range(choices)
        ]
    value = int.from_bytes(seed[:6], "big") / 2**48
    if endpoint is Endpoint.RERANK:
        return [{"index": place, "document": entry, "relevance_score": value}]
    if endpoint is Endpoint.SCORE:
        return [{"index": place, "object": "score", "score": value}]
    if endpoint is Endpoint.MODERATIONS:
        return [{"index": place, "flagged": seed[0] > 127, "category_scores": {"violence": value}}]
    return [{"object": "embedding", "index": place, "embedding": [value, -value]}]
