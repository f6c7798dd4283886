"""`llama-server` out of the wheel `xllamacpp`: llama.cpp's own C++ HTTP server, in a Python process.

Takes the options of llama-server that the tests use, so that either program can stand where the other does. What
differs is its end: a signal ends this process at once, where llama-server closes its streams first.

Runs in the engine cache's own virtual environment (xllamacpp).
"""

from __future__ import annotations

import argparse
import signal

import xllamacpp

_WORDS = {"on": "ENABLED", "off": "DISABLED", "auto": "AUTO"}


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="llama.cpp's HTTP server.")
    parser.add_argument("-m", dest="model", required=True)
    parser.add_argument("--alias", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("-c", dest="context", type=int, default=0)
    parser.add_argument("-np", dest="slots", type=int, default=1)
    parser.add_argument("-t", dest="threads", type=int, default=1)
    parser.add_argument("-fa", dest="flash_attention", choices=["on", "off", "auto"], default="auto")
    parser.add_argument("-ctk", dest="keys", choices=["f16", "f32"], default="f16")
    parser.add_argument("-ctv", dest="values", choices=["f16", "f32"], default="f16")
    parser.add_argument("--slots", dest="shows_slots", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--metrics", action="store_true")
    parser.add_argument("--embeddings", action="store_true")
    parser.add_argument("--pooling", choices=["mean", "last"])
    parser.add_argument("--sleep-idle-seconds", type=int, default=-1)
    parser.add_argument("--sse-ping-interval", type=int, default=30)
    return parser.parse_args(words)


def parameters(given: argparse.Namespace) -> xllamacpp.CommonParams:
    """The options as llama.cpp has them."""
    params = xllamacpp.CommonParams()
    params.model.path = given.model
    params.model_alias = {given.alias}
    params.hostnames = [given.host]
    params.port = given.port
    params.n_ctx = given.context
    params.n_parallel = given.slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = given.threads
    types = {"f16": xllamacpp.ggml_type.GGML_TYPE_F16, "f32": xllamacpp.ggml_type.GGML_TYPE_F32}
    params.cache_type_k, params.cache_type_v = types[given.keys], types[given.values]
    params.flash_attn_type = getattr(
        xllamacpp.llama_flash_attn_type, f"LLAMA_FLASH_ATTN_TYPE_{_WORDS[given.flash_attention]}"
    )
    params.endpoint_slots, params.endpoint_metrics = given.shows_slots, given.metrics
    params.embedding = given.embeddings
    if given.pooling:
        params.pooling_type = getattr(xllamacpp.llama_pooling_type, f"LLAMA_POOLING_TYPE_{given.pooling.upper()}")
    params.sleep_idle_seconds = given.sleep_idle_seconds
    params.sse_ping_interval = given.sse_ping_interval
    params.use_jinja = True
    params.warmup = True
    return params


def main() -> None:
    server = xllamacpp.Server(parameters(parse()))
    print(f"listening on {server.listening_address}", flush=True)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
