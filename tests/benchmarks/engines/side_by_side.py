"""The plain Hugging Face server, llama.cpp and vLLM with the same model and the same requests, one after the other.

    python -m tests.benchmarks.engines.side_by_side [--requests 120] [--concurrency 1,4] [--slo ttft=500ms,tpot=50ms]

`transformers serve` is the baseline; the model is the tiny one of `make engines`, so on a machine without a GPU the
figures say how the servers batch and what each adds around a model, not how fast a real model runs. vLLM's executor is
the tests' own: its times are its scheduler's, not its kernels'. On a GPU host, start the real engines yourself and run
`tidegate bench --url … --server …` once for each, then `tidegate report` on all of their folders: the same commands.

Writes `side_by_side/`: a run folder for each engine, and the report of all of them.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from os.path import relpath
from pathlib import Path
from shutil import rmtree

from tests.benchmarks.engines.quality import prompts
from tests.engines import cache
from tests.engines.llama_server import Engine, LlamaServer
from tests.engines.process import EngineProcess, running
from tests.engines.transformers_serve import TransformersServe
from tests.engines.vllm_server import VllmServer

RESULTS = Path(relpath(Path(__file__).with_suffix("")))
"""As it is called from here: what is written names no folder of this machine."""


def engines() -> Iterator[tuple[str, EngineProcess]]:
    """Those that are here, by the name that rows call them."""
    if cache.is_there("transformers"):
        yield "transformers serve", TransformersServe()
    for part in ("llama-server", "xllamacpp"):
        if cache.is_there(part):
            yield "llama-server", LlamaServer(Engine.of(part), "tiny", "-np", "4", "-c", "8192", "--metrics")
            break
    if cache.is_there("vllm"):
        yield "vLLM, stand-in executor", VllmServer("tiny")


def main() -> int:
    """Measures each, writes the report, prints where it is."""
    parser = argparse.ArgumentParser(description="Engines side by side.")
    parser.add_argument("--requests", type=int, default=120)
    parser.add_argument("--concurrency", default="1,4")
    parser.add_argument("--slo", default="ttft=500ms,tpot=50ms")
    options = parser.parse_args()
    rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir()
    file = RESULTS / "prompts.jsonl"
    file.write_text(prompts(options.requests))
    folders = []
    for name, engine in engines():
        folder = RESULTS / name.partition(",")[0].replace(" ", "-").lower()
        with running(engine):
            load = ["--workload", str(file), "--concurrency", options.concurrency, "--requests", str(options.requests)]
            labels = ["--server", name, "--precision", "fp32", "--model", engine.model, "--cache", "cold"]
            _tidegate("bench", "--url", engine.url, *load, *labels, "--out", str(folder))
        folders.append(str(folder))
    if not folders:
        print("side_by_side: no engine is here: make engines", file=sys.stderr)
        return 1
    report = ["report", *folders, "--slo", options.slo, "--title", "Engines side by side"]
    _tidegate(*report, "--out", str(RESULTS / "report"))
    return 0


def _tidegate(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "proxy.cli.main", *arguments], check=True)


if __name__ == "__main__":
    sys.exit(main())
