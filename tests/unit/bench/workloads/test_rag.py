"""RAG: passages are found for a question, each stage is timed, and a user's own function takes the place of all."""

from pathlib import Path

import pytest

from proxy.bench.workloads.rag import Rag, Watch, hook_of
from proxy.bench.workloads.recorded import BadFileError


def test_what_is_found_is_in_the_prompt() -> None:
    (ask,) = Rag().session(1, 4).asks
    assert ask.prepare is not None
    prepared, again = ask.prepare(), ask.prepare()
    assert prepared.messages == again.messages
    assert [stage.name for stage in prepared.stages] == ["retrieval", "rerank", "prompt_assembly"]
    assert all(stage.ms > 0 for stage in prepared.stages)
    text = prepared.messages[1]["content"]
    assert "[1] " in text
    assert "[3] " in text
    assert "Question: What is said of" in text
    assert ask.finish is not None
    assert [stage.name for stage in ask.finish("as [1] says")] == ["post_process"]


def test_a_users_own() -> None:
    def build(question: str, stage: Watch) -> list[dict[str, str]]:
        with stage("lookup"):
            return [{"role": "user", "content": question.upper()}]

    (ask,) = Rag(build).session(1, 0).asks
    assert ask.prepare is not None
    prepared = ask.prepare()
    assert prepared.messages[0]["content"].startswith("WHAT IS SAID OF")
    assert [stage.name for stage in prepared.stages] == ["lookup"]


def test_it_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_stages.py").write_text("def build(question, stage):\n    return []\nnumber = 1\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert hook_of("my_stages:build")("q", None) == []  # type: ignore[arg-type]
    for text, why in [
        ("my_stages:number", "is not a function"),
        ("my_stages:other", "AttributeError"),
        ("nowhere_at_all:x", "ModuleNotFoundError"),
        ("my_stages", "AttributeError|ValueError"),
    ]:
        with pytest.raises(BadFileError, match=why):
            hook_of(text)
