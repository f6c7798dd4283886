"""`tidegate plan`: how many tokens and requests fit into an engine's memory, and how to write that down.

With a trace it says how many backends that traffic needs (`app.forecast.capacity`). Owns the text. The formula, its
bounds and what is wrong with a number are those of the configuration.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from proxy.config.messages import hint_of, message_of
from proxy.config.plain import options_of, read
from proxy.model.kv_cache import KvCacheSettings
from proxy.model.units import readable_size

CONTEXTS = (2048, 8192, 32_768, 131_072)
"""Lengths that are shown when none is asked for: a chat, a long one, a document, what current open models take."""

_REQUIRED = tuple(name for name, field in options_of(KvCacheSettings).model_fields.items() if field.is_required())


def run(arguments: argparse.Namespace) -> int:
    """0 with the answer; 2 for numbers that cannot be, all of them at once."""
    if arguments.trace is not None:
        from proxy.app.forecast import capacity

        return capacity.run(arguments)
    missing = [f"--{name.replace('_', '-')}" for name in _REQUIRED if getattr(arguments, name) is None]
    if missing:
        print(f"tidegate plan: required: {', '.join(missing)}; or --trace, for recorded traffic", file=sys.stderr)
        return 2
    given = {name: getattr(arguments, name) for name in options_of(KvCacheSettings).model_fields}
    written = {name: value for name, value in given.items() if value is not None}
    try:
        shape = read(KvCacheSettings, written)
    except ValidationError as invalid:
        for error in invalid.errors(include_url=False, include_input=False):
            print(f"tidegate plan: {_complaint(error, written)}", file=sys.stderr)
        return 2
    contexts = tuple(arguments.context or CONTEXTS)
    if arguments.json:
        print(json.dumps(_as_json(shape, contexts), indent=2))
    else:
        print("\n".join(_lines(shape, contexts, written)))
    return 0


def _complaint(error: Any, written: dict[str, str]) -> str:
    option = "".join(f"--{str(part).replace('_', '-')} " for part in error["loc"][:1])
    hint = hint_of(error, written.get(str(error["loc"][0])) if error["loc"] else None)
    return f"{option}{message_of(error)}" + (f"; {hint}" if hint and "quotes" not in hint else "")


def _as_json(shape: KvCacheSettings, contexts: tuple[int, ...]) -> dict[str, Any]:
    return {
        "kv_tokens": shape.tokens,
        "bytes_per_token": shape.bytes_per_token,
        "bytes_for_kv": shape.bytes_for_kv,
        "cards": shape.tensor_parallel,
        "requests": {str(context): shape.requests(context) for context in contexts},
        "config": {"kv_tokens": shape.tokens},
    }


def _lines(shape: KvCacheSettings, contexts: tuple[int, ...], written: dict[str, str]) -> Iterator[str]:
    per_card = " on each card" if shape.tensor_parallel > 1 else ""
    yield f"memory for KV   {readable_size(shape.bytes_for_kv)}{per_card}"
    yield (
        f"per token       {readable_size(shape.bytes_per_token)}{per_card}: a key and a value, {shape.layers} layers, "
        f"{shape.kv_heads} KV heads of {shape.head_dim}, {shape.dtype}"
    )
    yield f"KV budget       {shape.tokens:,} tokens"
    yield "requests at once, by tokens of prompt and answer together:"
    for context in contexts:
        fitting = shape.requests(context)
        yield f"  {context:>11,}   {fitting:,}" + ("" if fitting else " (one is more than the whole budget)")
    yield ""
    yield "in the configuration, at the backend, the number:"
    yield f"    kv_tokens: {shape.tokens}"
    yield "or what it is computed of:"
    yield f"    kv_cache: {{{', '.join(f'{name}: {value}' for name, value in written.items())}}}"
