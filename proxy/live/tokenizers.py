"""Vocabularies at work: loaded in a thread, so that neither the start nor a request waits for one.

Owns which library is asked when (proxy/decisions/0043-who-counts-tokens.md), loading and counting long text off the
event loop. A vocabulary that is missing, broken or still loading is no error: counts are estimates and say so.
"""

import asyncio
import importlib
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from proxy.live import tiktoken_files
from proxy.wire.tokens import TEXT_MAX, Count, CountSource, Estimator, Tokenizer
from proxy.wire.vocabularies import BPE_SUFFIX, vocabulary_of

_log = logging.getLogger(__name__)
_FILE_MAX_B = 64 * 1024 * 1024
"""The largest tokenizer.json in use has 35 MB."""
_TEXT_HARD_MAX = 4 * 1024 * 1024
"""Characters; longer text is estimated even where nobody waits: 1 MB of one letter takes 0.2 s of a core."""
_LOADED_MAX = 16
"""Vocabularies in memory, about 20 to 60 MB each."""


class Vocabulary:
    """A tokenizer of splintr or tiktoken as `proxy.wire.tokens.Tokenizer`."""

    __slots__ = ("_bytes", "_encode_ordinary")

    def __init__(self, tokenizer: Any, bytes_of: str = "decode_token_bytes") -> None:
        """`bytes_of`: what its method for the bytes of one token is called."""
        self._encode_ordinary: Callable[[str], list[int]] = tokenizer.encode_ordinary
        self._bytes: Callable[[int], bytes] = getattr(tokenizer, bytes_of)

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
            return self._encode_ordinary(_encodable(text))
        except BaseException as error:  # a panic is no Exception; everything else goes on its way
            if _is_panic(error):
                raise ValueError(f"tokenizer failed: {error}") from error
            raise


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

    def __init__(self, files: dict[str, Path] | None = None, caches: Sequence[Path] = ()) -> None:
        """`caches`: where files of tiktoken's may be."""
        self._files = files or {}
        """Model → its tokenizer.json or file of tiktoken's, as configured."""
        self._caches = caches
        self._loaded: dict[str, Tokenizer | None] = {}
        self._loading: set[str] = set()
        self._estimators: dict[str, Estimator] = {}
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="tokenizers")

    def preload(self) -> None:
        """Load what tiktoken is to count with. Blocks for up to a second each: before anybody is served."""
        named = [path for path in self._files.values() if path.suffix == BPE_SUFFIX]
        encodings: dict[str, Vocabulary | None] = {}
        for place, (entry, data) in tiktoken_files.at_hand(named, self._caches).items():
            if entry.sha256 not in encodings:
                made = tiktoken_files.load(entry, data)
                encodings[entry.sha256] = None if made is None else Vocabulary(made, "decode_single_token_bytes")
            vocabulary = encodings[entry.sha256]
            if vocabulary is not None:
                self._loaded |= dict.fromkeys((f"file:{place}", *entry.vocabularies), vocabulary)
                _log.info("%s is counted by tiktoken, from %s", entry.vocabularies[0], place)

    def configure(self, files: dict[str, Path]) -> None:
        """Other files. One that is named again is read again when it is needed; what nobody names is forgotten.
        tiktoken's are read by `preload` alone."""
        self._files = files
        for source in [source for source in self._loaded if source.startswith("file:")]:
            if not source.endswith(BPE_SUFFIX):
                del self._loaded[source]
        for path in files.values():
            if path.suffix == BPE_SUFFIX and f"file:{path}" not in self._loaded:
                _log.warning("%s is used from the next start on", path)

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
        if path is None or (path.suffix == BPE_SUFFIX and f"file:{path}" not in self._loaded):
            return vocabulary_of(model)
        return f"file:{path}"

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
