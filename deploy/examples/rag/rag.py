"""A small RAG application that tells the proxy where its time goes: `python rag.py "Who wins the race?"`.

    retrieve (SQLite FTS5) ─▶ rerank ─▶ assemble the prompt ─▶ stream the answer ─▶ cite its sources ─▶ report

Everything a larger one has, in one file: an index, a cache in front of it, a second look at what it found, a prompt, a
streamed answer, post-processing, and the report of all of it in `x-tidegate-stages` and afterwards.
"""

import argparse
import os
import re
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from openai import OpenAI

CORPUS = Path(__file__).with_name("fables.txt")
"""Fables of Aesop as George Fyler Townsend translated them in 1867: public domain."""
FOUND = 12
USED = 3
CACHED = 256
WORD = re.compile(r"[a-z]{3,}")
SOURCE = re.compile(r"\[(\d+)\]")
COMMON = frozenset(
    {"the", "and", "for", "that", "was", "with", "what", "who", "why", "how", "did", "does", "his", "her", "its", "are"}
)


class Passage(NamedTuple):
    """A piece of the corpus."""

    title: str
    text: str


@dataclass
class Stages:
    """A stopwatch of this application's own, in milliseconds."""

    spent: dict[str, float] = field(default_factory=dict)
    hits: dict[str, bool] = field(default_factory=dict)

    @contextmanager
    def measured(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            self.spent[name] = self.spent.get(name, 0.0) + (time.perf_counter() - began) * 1e3

    def header(self) -> str:
        """As `x-tidegate-stages` wants it."""
        hits = {name: f";hit={int(hit)}" for name, hit in self.hits.items()}
        return ", ".join(f"{name};dur={ms:.3f}{hits.get(name, '')}" for name, ms in self.spent.items())


class Index:
    """Full text in SQLite, with a cache of recent questions."""

    def __init__(self, passages: list[Passage]) -> None:
        self._base = sqlite3.connect(":memory:", check_same_thread=False)
        self._base.execute("CREATE VIRTUAL TABLE passages USING fts5(title, text, tokenize = 'porter unicode61')")
        self._base.executemany("INSERT INTO passages VALUES (?, ?)", passages)
        self._recent: OrderedDict[str, list[Passage]] = OrderedDict()

    def retrieve(self, question: str) -> tuple[list[Passage], bool]:
        """The passages that share most with a question, best first, and whether that was known already."""
        query = " OR ".join(f'"{word}"' for word in words(question))
        if query in self._recent:
            self._recent.move_to_end(query)
            return self._recent[query], True
        rows = "SELECT title, text FROM passages WHERE passages MATCH ? ORDER BY bm25(passages, 4.0, 1.0) LIMIT ?"
        found = [Passage(*row) for row in self._base.execute(rows, (query, FOUND))] if query else []
        self._recent[query] = found
        if len(self._recent) > CACHED:
            self._recent.popitem(last=False)
        return found, False

    def close(self) -> None:
        """Forget all of it."""
        self._base.close()


def rerank(question: str, found: list[Passage]) -> list[Passage]:
    """The few that hold the most of the question, close together: what bm25 does not see."""
    asked = set(words(question))
    return sorted(found, key=lambda passage: _worth(asked, passage), reverse=True)[:USED]


def _worth(asked: set[str], passage: Passage) -> float:
    places = [(at, word) for at, word in enumerate(words(f"{passage.title} {passage.text}")) if _stem(word, asked)]
    together = len({word for _, word in places})
    gaps = [second - first for (first, one), (second, other) in pairwise(places) if one != other]
    return together + 1 / (1 + min(gaps, default=100)) + len(asked & set(words(passage.title)))


def _stem(word: str, asked: set[str]) -> bool:
    return word in asked or any(len(one) > 4 and word.startswith(one[:5]) for one in asked)


def assemble(question: str, passages: list[Passage]) -> list[dict[str, str]]:
    """The stable part first, so that engines have it in their prefix cache; then what changes."""
    numbered = "\n\n".join(f"[{number}] {one.title}\n{one.text}" for number, one in enumerate(passages, 1))
    system = "Answer from the fables you are given, in one or two sentences. Cite them as [1], [2], [3]."
    return [{"role": "system", "content": system}, {"role": "user", "content": f"{numbered}\n\nQuestion: {question}"}]


def sources(answer: str, passages: list[Passage]) -> list[str]:
    """Titles of what the answer cites, else of all that it was given."""
    cited = sorted({int(number) for number in SOURCE.findall(answer)})
    named = [passages[number - 1].title for number in cited if 0 < number <= len(passages)]
    return named or [one.title for one in passages]


class Told(NamedTuple):
    """One question, answered."""

    answer: str
    sources: list[str]
    e2e_ms: float
    """As this application measured it."""
    timing: dict[str, Any]
    """As the proxy tells it, this application's stages in it."""


class Rag:
    """The application. `client`: the official one, with the proxy as its base URL."""

    def __init__(self, client: OpenAI, model: str, corpus: Path = CORPUS) -> None:
        self._client = client
        self._model = model
        self.index = Index(read(corpus))

    def ask(self, question: str) -> Told:
        """Answer it, and report where the time went."""
        began, stages = time.perf_counter(), Stages()
        with stages.measured("retrieval"):
            found, stages.hits["retrieval"] = self.index.retrieve(question)
        with stages.measured("rerank"):
            passages = rerank(question, found)
        with stages.measured("prompt_assembly"):
            messages = assemble(question, passages)
        answer, name = self._streamed(messages, stages)
        after = Stages()
        with after.measured("post_process"):
            cited = sources(answer, passages)
        after.spent["total"] = e2e_ms = (time.perf_counter() - began) * 1e3
        return Told(answer, cited, e2e_ms, self._reported(name, after))

    def _streamed(self, messages: list[dict[str, str]], stages: Stages) -> tuple[str, str]:
        """The text of the answer, and the id of the request."""
        told: Any = self._client.chat.completions.with_raw_response.create(
            model=self._model,
            messages=messages,  # type: ignore[arg-type]
            stream=True,
            temperature=0,
            max_tokens=120,
            extra_headers={"x-tidegate-stages": stages.header()},
        )
        pieces = [event.choices[0].delta.content or "" for event in told.parse() if event.choices]
        return "".join(pieces), told.headers["x-request-id"]

    def _reported(self, name: str, after: Stages) -> dict[str, Any]:
        path = f"/tidegate/requests/{name}/stages"
        return self._client.post(path, cast_to=dict[str, Any], body=after.spent)


def read(corpus: Path) -> list[Passage]:
    """Fables are two blank lines apart; the first line of each is its title."""
    fables = corpus.read_text(encoding="utf-8").strip().split("\n\n\n")
    return [Passage(*(part.strip() for part in fable.strip().split("\n", 1))) for fable in fables]


def words(text: str) -> list[str]:
    """Those that mean something."""
    return [word for word in WORD.findall(text.lower()) if word not in COMMON]


def main() -> None:
    """One question from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("question")
    parser.add_argument("--url", default="http://127.0.0.1:8080/v1", help="of the proxy (%(default)s)")
    parser.add_argument("--model", default="default")
    asked = parser.parse_args()
    client = OpenAI(base_url=asked.url, api_key=os.environ.get("OPENAI_API_KEY", "none"))
    told = Rag(client, asked.model).ask(asked.question)
    print(told.answer, "\n\nfrom:", "; ".join(told.sources))
    for stage in told.timing["stages"]:
        print(f"{stage['name']:>16} {stage['ms']:9.1f} ms  {stage['by']}")
    print(f"{'unattributed':>16} {told.timing['unattributed_ms']:9.1f} ms")
    print(f"{'total':>16} {told.timing['e2e_ms']:9.1f} ms")


if __name__ == "__main__":
    main()
