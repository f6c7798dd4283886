"""Files and batches of a running proxy, as its API has them: a file goes up, and comes down, in pieces.

Owns the requests; whoever asks says what is done with the answers.
"""

import json
import os
import secrets
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from proxy.cli.asking import connection_to, silence

VARIABLE: Final = "TIDEGATE_API_KEY"
_TIMEOUT_S: Final = 60.0
_PIECE_B: Final = 256 * 1024


class RefusedError(Exception):
    """The proxy said no, in these words."""


class BatchClient:
    """Of one proxy. `url`: where clients reach it, with `/v1` or without."""

    def __init__(self, url: str) -> None:
        self._base = url.rstrip("/").removesuffix("/v1")
        key = os.environ.get(VARIABLE, "")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    def upload(self, path: Path) -> dict[str, Any]:
        """A file of requests. Raises RefusedError, SilentError, OSError."""
        boundary = secrets.token_hex(16)
        head, tail = _form(boundary, path.name)
        size_b = len(head) + path.stat().st_size + len(tail)
        headers = {"content-type": f"multipart/form-data; boundary={boundary}", "content-length": str(size_b)}
        return self._told("POST", "/v1/files", _pieces(head, path, tail), headers)

    def create(self, file: str, endpoint: str, window: str) -> dict[str, Any]:
        """A batch of an uploaded file."""
        asked = {"input_file_id": file, "endpoint": endpoint, "completion_window": window}
        return self._told("POST", "/v1/batches", json.dumps(asked).encode(), {"content-type": "application/json"})

    def show(self, batch: str) -> dict[str, Any]:
        """One batch; `eta_s` says when it will be done, where that is known."""
        return self._told("GET", f"/v1/batches/{quote(batch, safe='')}")

    def cancel(self, batch: str) -> dict[str, Any]:
        """No line of it begins any more."""
        return self._told("POST", f"/v1/batches/{quote(batch, safe='')}/cancel")

    def list(self, limit: int) -> dict[str, Any]:
        """The newest."""
        return self._told("GET", f"/v1/batches?limit={limit}")

    def download(self, file: str, to: Path) -> int:
        """A file's bytes, put in place when they are all there; how many."""
        part, size_b = to.with_name(f"{to.name}.part"), 0
        connection = connection_to(self._base, _TIMEOUT_S)
        try:
            with silence(_TIMEOUT_S), part.open("wb") as out:
                connection.request("GET", f"/v1/files/{quote(file, safe='')}/content", headers=self._headers)
                answer = connection.getresponse()
                if answer.status != 200:
                    raise RefusedError(_why(answer, answer.read()))
                while data := answer.read(_PIECE_B):
                    size_b += out.write(data)
            part.replace(to)
        finally:
            connection.close()
            part.unlink(missing_ok=True)
        return size_b

    def _told(
        self,
        method: str,
        target: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        connection = connection_to(self._base, _TIMEOUT_S)
        try:
            with silence(_TIMEOUT_S):
                connection.request(method, target, body, {**self._headers, **(headers or {})})
                answer = connection.getresponse()
                said = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise RefusedError(_why(answer, said))
        told = _object(said)
        eta = answer.headers.get("x-tidegate-eta")
        return told if eta is None else {**told, "eta_s": int(eta)}


def host_of(url: str) -> str:
    """For messages."""
    return urlsplit(url).netloc or url


def _form(boundary: str, name: str) -> tuple[bytes, bytes]:
    safe = "".join(character for character in name if character.isprintable() and character not in '"\\')
    head = (
        f'--{boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="{safe}"\r\n\r\n'
    )
    return head.encode(), f"\r\n--{boundary}--\r\n".encode()


def _pieces(head: bytes, path: Path, tail: bytes) -> Iterator[bytes]:
    yield head
    with path.open("rb") as file:
        while data := file.read(_PIECE_B):
            yield data
    yield tail


def _why(answer: HTTPResponse, said: bytes) -> str:
    error = _object(said).get("error")
    text = error.get("message") if isinstance(error, dict) else None
    return text if isinstance(text, str) else f"it answered {answer.status} {answer.reason}"


def _object(said: bytes) -> dict[str, Any]:
    try:
        told = json.loads(said)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
