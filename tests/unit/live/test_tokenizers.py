"""Loading and using tokenizers. The library is replaced where its failures matter; with it installed, it is used."""

import asyncio
import json
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.live.tokenizers import Tokenizers, load_file, load_vocabulary
from proxy.wire.tokens import TEXT_MAX, CountSource, Tokenizer


class PanicException(BaseException):
    """As raised by a Rust library that panics."""


class Bytes:
    """Every byte is a token."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def encode_ordinary(self, text: str) -> list[int]:
        self.threads.add(threading.get_ident())
        if text == "panic":
            raise PanicException("boom")
        return list(text.encode())

    def decode_token_bytes(self, token: int) -> bytes:
        return bytes([token])


class Library:
    """Stands in for splintr."""

    def __init__(self) -> None:
        self.tokenizer = Bytes()
        self.release = threading.Event()
        self.release.set()
        self.loaded: list[str] = []
        self.Tokenizer = SimpleNamespace(from_pretrained=self._load)

    def _load(self, name: str) -> Bytes:
        assert self.release.wait(10)
        self.loaded.append(name)
        if name == "phi4":
            raise PanicException("boom")
        if name == "qwen3":
            raise ValueError("Unknown pretrained model")
        return self.tokenizer

    def from_json_bytes(self, data: bytes) -> Bytes:
        json.loads(data)
        return self.tokenizer


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    stand_in = Library()
    monkeypatch.setitem(sys.modules, "splintr", stand_in)
    return stand_in


@pytest.fixture
async def tokenizers() -> AsyncIterator[Tokenizers]:
    one = Tokenizers()
    yield one
    await one.close()


async def loaded(tokenizers: Tokenizers, model: str) -> Tokenizer:
    for _ in range(1000):
        found = tokenizers.ready(model)
        if found is not None:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"the tokenizer of {model} was never loaded")


async def test_loading_blocks_nobody_and_counts_are_estimates_until_it_is_done(
    library: Library, tokenizers: Tokenizers
) -> None:
    library.release.clear()
    assert tokenizers.ready("gpt-4o") is None
    assert (await tokenizers.count("gpt-4o", "some text")).source is CountSource.ESTIMATE
    library.release.set()
    await loaded(tokenizers, "gpt-4o")
    assert await tokenizers.count("gpt-4o", "some text") == (9, CountSource.TOKENIZER)
    assert library.loaded == ["o200k_base"], "loaded once, however often it was asked for"


async def test_long_text_is_counted_in_a_thread(library: Library, tokenizers: Tokenizers) -> None:
    await loaded(tokenizers, "gpt-4o")
    await tokenizers.count("gpt-4o", "x" * TEXT_MAX)
    assert library.tokenizer.threads == {threading.get_ident()}
    library.tokenizer.threads.clear()
    assert await tokenizers.count("gpt-4o", "x" * (TEXT_MAX + 1)) == (TEXT_MAX + 1, CountSource.TOKENIZER)
    assert threading.get_ident() not in library.tokenizer.threads


async def test_text_beyond_all_bounds_is_estimated(library: Library, tokenizers: Tokenizers) -> None:
    await loaded(tokenizers, "gpt-4o")
    assert (await tokenizers.count("gpt-4o", "x" * (4 * 1024 * 1024 + 1))).source is CountSource.ESTIMATE


async def test_a_panic_of_the_library_is_an_estimate(library: Library, tokenizers: Tokenizers) -> None:
    tokenizer = await loaded(tokenizers, "gpt-4o")
    with pytest.raises(ValueError, match="boom"):
        tokenizer.encode_count("panic")
    assert (await tokenizers.count("gpt-4o", "panic")).source is CountSource.ESTIMATE


@pytest.mark.parametrize(("model", "vocabulary"), [("Qwen/Qwen3-8B", "qwen3"), ("phi-4", "phi4")])
async def test_a_vocabulary_that_cannot_be_loaded_is_tried_once(
    library: Library, tokenizers: Tokenizers, model: str, vocabulary: str
) -> None:
    for _ in range(100):
        assert tokenizers.ready(model) is None
        await asyncio.sleep(0.001)
    assert library.loaded == [vocabulary]


async def test_a_model_nobody_knows_has_no_tokenizer_and_loads_nothing(
    library: Library, tokenizers: Tokenizers
) -> None:
    assert tokenizers.ready("house-model") is None
    assert (await tokenizers.count("house-model", "some text")).source is CountSource.ESTIMATE
    assert not library.loaded


async def test_a_configured_file_comes_before_the_name(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    one = Tokenizers({"gpt-4o": path})
    await loaded(one, "gpt-4o")
    assert not library.loaded
    await one.close()


def test_without_the_library_there_is_no_tokenizer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "splintr", None)
    assert load_vocabulary("o200k_base") is None
    (tmp_path / "t.json").write_text("{}")
    assert load_file(tmp_path / "t.json") is None


@pytest.mark.parametrize("content", [None, b"", b"no JSON"])
def test_a_broken_file_is_no_tokenizer(library: Library, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    assert load_file(path) is None


def test_what_is_learned_is_per_model_and_bounded(library: Library) -> None:
    one = Tokenizers()
    one.estimator("a").learn(100.0, 200)
    assert one.estimator("a").ratio > 1
    assert one.estimator("b").ratio == 1
    for at in range(5000):
        one.estimator(f"m{at}")
    assert len(one._estimators) <= 1024


def test_pieces_never_cut_a_character(library: Library) -> None:
    found = load_vocabulary("o200k_base")
    assert found is not None
    assert found.pieces("aé漢😀") == ["a", "é", "漢", "😀"]
    assert found.pieces("a\ud83db") == ["a", "\ud83d", "b"]
    assert found.pieces("") == [""]


# --- the library itself


def _byte_level_file(path: Path) -> Path:
    """A Hugging Face byte-level BPE file: 256 bytes, two merges, one special token."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {byte: chr(byte) for byte in printable}
    for at, byte in enumerate(byte for byte in range(256) if byte not in letters):
        letters[byte] = chr(256 + at)
    vocabulary = {letters[byte]: byte for byte in range(256)} | {"th": 256, "the": 257, "<|end|>": 258}
    body: dict[str, Any] = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None, "post_processor": None,
        "added_tokens": [{"id": 258, "content": "<|end|>", "special": True, "single_word": False, "lstrip": False,
                          "rstrip": False, "normalized": False}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "vocab": vocabulary,
                  "merges": ["t h", "th e"]},
    }  # fmt: skip
    path.write_text(json.dumps(body))
    return path


def test_a_hugging_face_file(tmp_path: Path) -> None:
    pytest.importorskip("splintr")
    found = load_file(_byte_level_file(tmp_path / "tokenizer.json"))
    assert found is not None
    assert found.pieces("the then é") == ["the", " ", "the", "n", " ", "é"]
    assert found.encode_count("the then é") == 7
    assert found.encode_count("<|end|>") == 7, "a special token in text is plain text"


def test_vocabularies_come_without_a_network() -> None:
    pytest.importorskip("splintr")
    for name in ("cl100k_base", "o200k_base"):
        found = load_vocabulary(name)
        assert found is not None
        assert found.encode_count("hello world") == 2
        assert found.encode_count("<|endoftext|>") == 7
        assert "".join(found.pieces("漢字 \ud83d 👩\u200d👧 word")) == "漢字 \ud83d 👩\u200d👧 word"
    assert load_vocabulary("no such vocabulary") is None
