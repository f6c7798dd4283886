"""OpenAI's vocabularies from files: only the published ones, from where they are named, and no socket ever."""

import base64
import hashlib
import inspect
import socket
from pathlib import Path

import pytest

from proxy.live import tiktoken_files
from proxy.live.tiktoken_files import at_hand, caches, load
from proxy.live.tokenizers import Tokenizers
from proxy.wire.vocabularies import BPE_FILES, BpeFile

TOKENS = [bytes([code]) for code in range(256)] + [b"he", b"ll", b"hell", b"hello", b" w"]
DATA = b"\n".join(b"%b %d" % (base64.b64encode(token), rank) for rank, token in enumerate(TOKENS)) + b"\n"


def entry(data: bytes = DATA) -> BpeFile:
    return BpeFile(hashlib.sha256(data).hexdigest(), "cached", r"\s?\p{L}+|\s|[^\s\p{L}]+", ("o200k_base", "gpt-oss"))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("somebody asked the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_directories_are_those_that_the_environment_names() -> None:
    assert caches({"TIKTOKEN_CACHE_DIR": "/a", "DATA_GYM_CACHE_DIR": "/b"}) == (Path("/a"), Path("/b"))
    assert caches({"TIKTOKEN_CACHE_DIR": "", "TMPDIR": "/c"}) == ()


def test_a_file_is_known_by_its_digest_alone(tmp_path: Path) -> None:
    known = (entry(),)
    assert at_hand((), (tmp_path,), known) == {}
    (tmp_path / "cached").write_bytes(DATA[:-1])
    assert at_hand((), (tmp_path,), known) == {}, "damaged"
    (tmp_path / "cached").write_bytes(DATA)
    assert list(at_hand((), (tmp_path,), known)) == [str(tmp_path / "cached")]
    named = tmp_path / "mine.tiktoken"
    named.write_bytes(DATA)
    assert list(at_hand((named,), (tmp_path,), known)) == [str(named)], "once each, named files first"


def test_what_it_counts(no_network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine.tiktoken"
    path.write_bytes(DATA)
    monkeypatch.setattr(tiktoken_files, "at_hand", lambda files, places: at_hand(files, places, (entry(),)))
    one = Tokenizers({"my-model": path})
    one.preload()
    for model in ("my-model", "gpt-4o", "gpt-oss-20b"):
        tokenizer = one.ready(model)
        assert tokenizer is not None
        assert tokenizer.encode_count("hello world") == 6  # hello, " w", o, r, l, d
        assert tokenizer.pieces("hello é") == ["hello", " ", "é"]
        assert tokenizer.encode_count("<|endoftext|>\ud800") > 10, "special tokens are plain text"


def test_a_file_that_a_reload_names_waits_for_the_next_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one = Tokenizers()
    one.configure({"my-model": tmp_path / "x.tiktoken"})
    assert "is used from the next start on" in caplog.text
    assert one.ready("my-model") is None, "nobody loads it while others are served"


def test_garbage_with_the_right_digest_is_no_end() -> None:
    assert load(entry(b"a b c\n"), b"a b c\n") is None


@pytest.mark.parametrize("known", BPE_FILES, ids=lambda one: one.vocabularies[0])
def test_patterns_and_digests_are_those_of_the_library(known: BpeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    from tiktoken_ext import openai_public

    asked: list[tuple[str, str]] = []

    def published(url: str, expected_hash: str) -> dict[bytes, int]:
        asked.append((url, expected_hash))
        return {}

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", published)
    made = getattr(openai_public, known.vocabularies[0])()
    ((url, digest),) = asked
    assert made["pat_str"] == known.pattern
    assert digest == known.sha256
    assert hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest() == known.cached_as


def test_nothing_of_ours_calls_what_downloads() -> None:
    assert "get_encoding" not in inspect.getsource(tiktoken_files)
