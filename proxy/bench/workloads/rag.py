"""Retrieval-augmented questions: retrieval, rerank and prompt assembly are done here, timed, before each request, and
citations are looked for in its answer.

Owns that small pipeline, on a corpus that is made from the seed (SQLite's full text search, as the RAG example has it),
and how a user's own takes its place: a function `(question, stage) -> messages`, in which `with stage("retrieval"):`
measures what it wants to see.
"""

import importlib
import re
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from proxy.bench.asks import Ask, Prepared, Session, Stage
from proxy.bench.text import prose, rng_of
from proxy.bench.workloads.chats import chat_ask
from proxy.bench.workloads.recorded import BadFileError

DOCUMENTS: Final = 2000
FOUND: Final = 12
USED: Final = 3
_SYSTEM: Final = "Answer from the passages that you are given, in a few sentences. Cite them as [1], [2], [3]."
_CITED: Final = re.compile(r"\[(\d+)\]")

Watch = Callable[[str], AbstractContextManager[None]]
Hook = Callable[[str, Watch], list[dict[str, Any]]]
"""The user's own: a question → messages."""


@dataclass(slots=True)
class Stopwatch:
    """Milliseconds by stage, in order."""

    spent: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        began = perf_counter()
        try:
            yield
        finally:
            self.spent[name] = self.spent.get(name, 0.0) + (perf_counter() - began) * 1e3

    def stages(self) -> list[Stage]:
        """What was measured."""
        return [Stage(name, ms) for name, ms in self.spent.items()]


@dataclass(frozen=True, slots=True)
class Rag:
    """Questions on a corpus; answers of 50 to 150 tokens."""

    hook: Hook | None = None
    name: str = "rag"
    total: int | None = None

    def session(self, seed: int, number: int) -> Session:
        """One question."""
        rng = rng_of("rag", seed, number)
        question = f"What is said of {prose(rng, 8).lower()}?"
        output = rng.randint(50, 150)

        def prepare() -> Prepared:
            watch = Stopwatch()
            messages = self.hook(question, watch) if self.hook else _messages(seed, question, watch)
            return Prepared(messages, watch.stages())

        ask = chat_ask([], output)
        return Session((Ask("chat", ask.fields, output, prepare=prepare, finish=_finish),))


def hook_of(text: str) -> Hook:
    """`module:function`, of the folder where the command was given too. Raises BadFileError."""
    module, _, name = text.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001 - it is the user's own program that runs here
        raise BadFileError(f"{text}: {type(error).__name__}: {error}") from None
    if not callable(found):
        raise BadFileError(f"{text}: is not a function")
    return found  # type: ignore[no-any-return]


def _messages(seed: int, question: str, watch: Watch) -> list[dict[str, Any]]:
    with watch("retrieval"):
        found = _corpus(seed).find(question)
    with watch("rerank"):
        used = sorted(found, key=lambda text: _worth(question, text), reverse=True)[:USED]
    with watch("prompt_assembly"):
        numbered = "\n\n".join(f"[{number}] {text}" for number, text in enumerate(used, 1))
        user = f"{numbered}\n\nQuestion: {question}"
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": user}]


def _finish(text: str) -> list[Stage]:
    watch = Stopwatch()
    with watch("post_process"):
        sorted({int(number) for number in _CITED.findall(text)})
    return watch.stages()


def _worth(question: str, text: str) -> tuple[int, int]:
    asked, words = set(question.rstrip("?").split()), text.lower().split()
    return len(asked.intersection(words)), sum(word in asked for word in words)


class _Corpus:
    """Passages in memory; asked by several threads, one at a time."""

    def __init__(self, seed: int) -> None:
        self._lock = threading.Lock()
        self._base = sqlite3.connect(":memory:", check_same_thread=False)
        self._base.execute("CREATE VIRTUAL TABLE passages USING fts5(text)")
        made = ((prose(rng_of("passage", seed, number), 150),) for number in range(DOCUMENTS))
        self._base.executemany("INSERT INTO passages VALUES (?)", made)

    def find(self, question: str) -> list[str]:
        """Those that share most with it."""
        query = " OR ".join(f'"{word}"' for word in re.findall(r"[a-z]+", question.lower()))
        rows = "SELECT text FROM passages WHERE passages MATCH ? ORDER BY bm25(passages), rowid LIMIT ?"
        with self._lock:
            return [row[0] for row in self._base.execute(rows, (query, FOUND))]


@cache
def _corpus(seed: int) -> _Corpus:
    return _Corpus(seed)
