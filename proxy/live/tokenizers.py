"""Vocabularies at work: loaded in a thread, so that neither the start nor a request waits for one.

Owns the library (splintr; proxy/decisions/0003-tokenizers.md says why), loading and counting long text off the event
loop. A vocabulary that is missing, broken or still loading is no error: counts are estimates and say so.
"""

import asyncio
import importlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proxy.wire.tokens import TEXT_MAX, Count, CountSource, Estimator, Tokenizer
from proxy.wire.vocabularies import vocabulary_of

_log = logging.getLogger(__name__)
_FILE_MAX_B = 64 * 1024 * 1024
"""The largest tokenizer.json in use has 35 MB."""
_TEXT_HARD_MAX = 4 * 1024 * 1024
"""Characters; longer text is estimated even where nobody waits: 1 MB of one letter takes 0.2 s of a core."""
_LOADED_MAX = 16
"""Vocabularies in memory, about 20 to 60 MB each."""


class Vocabulary:
    """A splintr tokenizer as `proxy.wire.tokens.Tokenizer`."""

    __slots__ = ("_tokenizer",)

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode_count(self, text: str) -> int:
        """Number of tokens; special tokens in text are plain text."""
        return len(self._encode(text)) if text else 0

    def pieces(self, text: str) -> list[str]:
        """`text` cut at token borders that are character borders."""
        data = _encodable(text).encode()
        pieces, pending, at = [], b"", 0
        for token in self._encode(text):
            pending += self._bytes(token)
            try:
                piece = pending.decode()
            except UnicodeDecodeError:
                continue
            pieces.append(text[at : at + len(piece)])
            at, pending = at + len(piece), b""
        return pieces if len(data) and at == len(text) else [text]

    def _encode(self, text: str) -> list[int]:
        try:  # not the context manager below: it costs three times the call
            return self._tokenizer.encode_ordinary(_encodable(text))  # type: ignore[no-any-return]
        except BaseException as error:  # a panic is no Exception; everything else goes on its way
            if _is_panic(error):
                raise ValueError(f"tokenizer failed: {error}") from error
            raise

    def _bytes(self, token: int) -> bytes:
        return self._tokenizer.decode_token_bytes(token)  # type: ignore[no-any-return]


def _encodable(text: str) -> str:
    """Lone surrogates have no tokens; one character of the same length stands in."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _is_panic(error: BaseException) -> bool:
    return type(error).__name__ == "PanicException"


@contextmanager
def _panics_as_value_errors() -> Iterator[None]:
    """A panic of the library is no reason to end the process, though it is no Exception."""
    try:
        yield
    except BaseException as error:  # as above
        if _is_panic(error):
            raise ValueError(f"tokenizer failed: {error}") from error
        raise


def load_vocabulary(name: str) -> Vocabulary | None:
    """A vocabulary carried by the library; None when there is none of that name or no library. Blocks up to 0.2 s."""
    try:
        splintr = importlib.import_module("splintr")
        with _panics_as_value_errors():
            return Vocabulary(splintr.Tokenizer.from_pretrained(name))
    except (ImportError, ValueError) as error:
        _log.warning("no vocabulary %s, tokens are estimated: %s", name, error)
        return None


def load_file(path: Path) -> Vocabulary | None:
    """A Hugging Face tokenizer.json; None when it cannot be used. Blocks."""
    try:
        splintr = importlib.import_module("splintr")
        with _panics_as_value_errors():
            tokenizer = Vocabulary(splintr.from_json_bytes(_read(path)))
        tokenizer.encode_count("a b")
    except (ImportError, OSError, ValueError) as error:
        _log.warning("tokenizer file %s cannot be used, tokens are estimated: %s", path.name, error)
        return None
    return tokenizer


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(_FILE_MAX_B + 1)
    if len(data) > _FILE_MAX_B:
        raise ValueError(f"larger than {_FILE_MAX_B} bytes")
    return data


class Tokenizers:
    """Which tokenizer and which estimator a model has. One per process, used on the event loop."""

    def __init__(self, files: dict[str, Path] | None = None) -> None:
        self._files = files or {}
        """Model → its tokenizer.json, as configured."""
        self._loaded: dict[str, Tokenizer | None] = {}
        self._loading: set[str] = set()
        self._estimators: dict[str, Estimator] = {}
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="tokenizers")

    def configure(self, files: dict[str, Path]) -> None:
        """Other files. One that is named again is read again when it is needed; what nobody names is forgotten."""
        self._files = files
        for source in [source for source in self._loaded if source.startswith("file:")]:
            del self._loaded[source]

    def estimator(self, model: str) -> Estimator:
        """What is learned of a model's tokens per byte."""
        found = self._estimators.get(model)
        if found is None:
            if len(self._estimators) >= 1024:
                self._estimators.pop(next(iter(self._estimators)))
            found = self._estimators[model] = Estimator()
        return found

    def ready(self, model: str) -> Tokenizer | None:
        """The model's tokenizer if it is there; the first question starts loading it. Never blocks."""
        source = self._source(model)
        if source is None:
            return None
        if source not in self._loaded:
            self._start(source)
        return self._loaded.get(source)

    async def count(self, model: str, text: str) -> Count:
        """Tokens of a whole text, such as a prompt: long text in a thread, an estimate when there is nothing better."""
        tokenizer = self.ready(model)
        if tokenizer is None or len(text) > _TEXT_HARD_MAX:
            return Count(self.estimator(model).count(text), CountSource.ESTIMATE)
        try:
            if len(text) <= TEXT_MAX:
                return Count(tokenizer.encode_count(text), CountSource.TOKENIZER)
            loop = asyncio.get_running_loop()
            value = await loop.run_in_executor(self._executor, tokenizer.encode_count, text)
        except ValueError as error:
            _log.warning("tokenizer of %s failed, tokens are estimated: %s", model, error)
            return Count(self.estimator(model).count(text), CountSource.ESTIMATE)
        return Count(value, CountSource.TOKENIZER)

    async def close(self) -> None:
        """Ends the thread; what is being loaded is forgotten."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _source(self, model: str) -> str | None:
        path = self._files.get(model)
        return f"file:{path}" if path is not None else vocabulary_of(model)

    def _start(self, source: str) -> None:
        if source in self._loading or len(self._loaded) + len(self._loading) >= _LOADED_MAX:
            return
        self._loading.add(source)
        future = asyncio.get_running_loop().run_in_executor(self._executor, _load, source)
        future.add_done_callback(lambda done: self._done(source, done))

    def _done(self, source: str, done: "asyncio.Future[Tokenizer | None]") -> None:
        self._loading.discard(source)
        if not done.cancelled():
            self._loaded[source] = done.result()


def _load(source: str) -> Tokenizer | None:
    return load_file(Path(source[5:])) if source.startswith("file:") else load_vocabulary(source)
