"""Writes deploy/COMPATIBILITY.md from `results.json`, which runs of the tests of the engines left.

TIDEGATE_COMPATIBILITY=tests/engines/results.json python -m pytest tests/engines    the tests, and their results
python -m tests.engines.compatibility                                               the page
python -m tests.engines.compatibility --check                                       exit 1 where the page differs
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from tests.engines.results import POOL

RESULTS: Final = Path(__file__).with_name("results.json")
PAGE: Final = Path(__file__).parents[2] / "deploy/COMPATIBILITY.md"
ENGINES: Final = {
    "llama-server": "llama.cpp `llama-server`",
    "xllamacpp": "llama.cpp in `xllamacpp`",
    "vllm": "vLLM",
    "transformers": "`transformers serve`",
}
CASES: Final = {
    "recognised": "recognised by its URL alone",
    "models": "its models listed",
    "chat": "chat: parts, stop, both names of the limit",
    "chat, streamed": "chat, streamed; usage as asked; `[DONE]`",
    "several choices": "`n: 2`",
    "logprobs": "logprobs, whole and streamed",
    "tools": "tools: required, named, streamed",
    "JSON schema": "JSON schema",
    "completions": "completions, whole and streamed",
    "arrays of prompts": "an array of prompts",
    "token ids": "prompts of token ids",
    "embeddings": "embeddings: texts, ids, float, base64",
    "responses": "Responses, whole and streamed",
    "Anthropic messages": "Anthropic's messages, whole and streamed",
    "context overflow": "a prompt too long: 400 `context_length_exceeded`",
    "mistakes of clients": "mistakes of clients: 400, 404, and the engine stays in",
    "clients that leave": "clients that leave, in any phase: the engine stops",
    "more than its places": "more requests than it has places: all served",
    "queue full": "its queue is full: requests wait in the proxy",
    "asleep": "asleep: left asleep, then served",
    "given up": "put to sleep mid-answer: an error, no half an answer",
    "killed mid-stream": "killed mid-stream: an error event",
    "terminated mid-stream": "SIGTERM mid-stream: an error event",
    "killed before the answer": "killed before the answer: 502 or 503",
    "restart": "restarted: told to try again, then served",
}
TOGETHER: Final = {
    "recognised": "requests go to all of them",
    "capabilities": "arrays, token ids, long prompts: to those that can",
    "failover": "one is killed: nobody notices",
    "resume": "one of two of a kind is killed in a greedy stream: the other goes on, word for word",
}
_HEAD: Final = """# Engines that Tidegate was tried with

Generated from [the last run of the tests](../tests/engines/results.json) by `python -m tests.engines.compatibility`:
real engines, official clients (openai, anthropic), Tidegate between them. Answers are compared with those that the same
call gets direct. TGI, Ollama, SGLang, TensorRT-LLM and LMDeploy, whose wire is known from documentation and captures
alone, are not in this table.

"""
_FOOT: Final = """
vLLM's server, scheduler and prefix cache are real, its kernels are not: the model is computed by PyTorch on the CPU. In
`xllamacpp` llama.cpp's C++ server runs in a Python process, which a signal ends at once.
[How each is set up and started](../tests/engines/README.md).
"""


def page(results: dict[str, Any]) -> str:
    """The page. Pure."""
    notes: list[str] = []
    engines = [name for name in ENGINES if name in results]
    rows = [["case", *(ENGINES[name] for name in engines)], ["---"] * (len(engines) + 1)]
    rows.append(["version", *(results[name]["version"] for name in engines)])
    rows.append(["tried on", *(results[name]["date"] for name in engines)])
    for case, words in CASES.items():
        rows.append([words, *(_cell(results[name]["cases"].get(case), notes) for name in engines)])
    text = _HEAD + _table(rows)
    if notes:
        text += "\n" + "\n".join(f"{number}. {note}" for number, note in enumerate(notes, 1)) + "\n"
    if POOL in results:
        cases = results[POOL]["cases"]
        rows = [["all of them in one pool, under one name", results[POOL]["date"]], ["---", "---"]]
        rows += [[words, _cell(cases.get(case), notes)] for case, words in TOGETHER.items()]
        text += "\n" + _table(rows)
    return text + _FOOT


def _cell(found: dict[str, Any] | None, notes: list[str]) -> str:
    if found is None:
        return "not tried"
    if found["outcome"] == "skipped":
        why = f"It {found['why']}." if found.get("why") else "Not tried."
        if why not in notes:
            notes.append(why)
        return f"not offered ({notes.index(why) + 1})"
    return {"passed": "yes", "failed": "**no**"}[found["outcome"]]


def _table(rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main(words: list[str]) -> int:
    text = page(json.loads(RESULTS.read_text()))
    if "--check" in words:
        return int(not PAGE.exists() or PAGE.read_text() != text)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
