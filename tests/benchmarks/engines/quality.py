"""One tiny model in f16, q8_0 and q4_0 on real llama-servers: what do fewer bits change, and what do they save?

    python -m tests.benchmarks.engines.quality [--requests 200]

Each is asked the same prompts as f16, greedily, in pairs (`tidegate bench --direct --keep-text`); then
`tidegate bench quality` says what it sees. Writes `quality.md` here. The model's numbers are random: the figures show
that the measurement tells precisions apart, not what fewer bits do to a trained model.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from proxy.bench.machine import machine
from tests.benchmarks.engines import WORDS
from tests.engines import cache
from tests.engines.llama_server import Engine, LlamaServer

RESULTS = Path(__file__).with_suffix(".md")
REFERENCE, OTHERS = "f16", ("f16", "q8_0", "q4_0")
"""The reference against itself, too: what differs there is no matter of bits."""
PROMPT_WORDS, ANSWER_TOKENS, SEED = 40, 64, 11
_MEANS = (
    "The model's numbers are random: the table shows that the measurement tells precisions apart, not what fewer bits"
    " do to a trained model."
)


@contextmanager
def servers(folder: Path, precision: str) -> Iterator[tuple[LlamaServer, LlamaServer]]:
    """One in this precision and the reference, each with a slot: so nothing is computed beside anything else."""
    engine = Engine.of("llama-server" if cache.is_there("llama-server") else "xllamacpp")
    with ExitStack() as stack:
        pair = []
        for place, name in enumerate((precision, REFERENCE)):
            model = folder / f"{name}.gguf"
            if not model.exists():
                quantise = Path(__file__).with_name("quantise.py")
                tools = cache.folder() / "tools/bin/python"
                subprocess.run([tools, quantise, engine.model, model, name], check=True)
            server = LlamaServer(replace(engine, model=model), f"tiny-{name}-{place}", "-np", "1", "--metrics")
            stack.callback(server.stop)
            pair.append(server.start())
        yield pair[0], pair[1]


def prompts(count: int) -> str:
    """As JSON lines."""
    rng = Random(SEED)
    lines = [
        {"prompt": " ".join(rng.choice(WORDS) for _ in range(PROMPT_WORDS)), "max_tokens": ANSWER_TOKENS}
        for _ in range(count)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


def measured(precision: str, folder: Path, count: int) -> dict[str, Any]:
    """What `tidegate bench quality --json` says of a paired run."""
    file, out = folder / "prompts.jsonl", folder / f"run-{precision}"
    file.write_text(prompts(count))
    with servers(folder, precision) as (ours, reference):
        bench = ["bench", "--url", ours.url, "--direct", reference.url, "--workload", str(file), "--concurrency", "1"]
        labels = ["--keep-text", "--precision", precision, "--requests", str(count), "--aa", "0", "--out", str(out)]
        _tidegate(*bench, *labels)
    found: dict[str, Any] = json.loads(_tidegate("bench", "quality", str(out), "--json"))
    return found


def _tidegate(*arguments: str) -> str:
    command = [sys.executable, "-m", "proxy.cli.main", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def table(found: dict[str, dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        f"| against {REFERENCE} | prompts | the same | part after, characters | shared | TTFT ms | TPOT ms |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, one in found.items():
        low, high = (100 * share for share in one["same_range"])
        at = "-" if one["parts_at"] is None else f"{one['parts_at']:.0f}"
        lines.append(
            f"| {name} | {one['pairs']:,} | {100 * one['same'] / one['pairs']:.0f} % ({low:.0f} to {high:.0f}) | {at} |"
            f" {100 * one['shared']:.0f} % | {_both(one, 'ttft_ms')} | {_both(one, 'tpot_ms')} |"
        )
    return "\n".join(lines) + "\n"


def _both(one: dict[str, Any], name: str) -> str:
    return f"{one['ours'][name]:.1f}, reference {one['reference'][name]:.1f}"


def main() -> int:
    """Measures, writes, prints."""
    parser = argparse.ArgumentParser(description="Quantised models held against the whole one.")
    parser.add_argument("--requests", type=int, default=200)
    count: int = parser.parse_args().requests
    with tempfile.TemporaryDirectory() as name:
        found = {precision: measured(precision, Path(name), count) for precision in OTHERS}
    here = machine(targets_here=True)
    about = (
        f"{datetime.now(UTC):%Y-%m-%d}, {here.cores} cores ({here.cpu}), {here.system},"
        f" load average {here.load_average:g};"
        f" {count} prompts of {PROMPT_WORDS} words, {ANSWER_TOKENS} tokens wanted, greedy, one at a time."
        f" {_MEANS}"
    )
    text = table(found)
    RESULTS.write_text(f"# {(__doc__ or '').splitlines()[0]}\n\n{text}\n{about}\n")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
