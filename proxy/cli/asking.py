"""Asks a running proxy something at its admin port.

Uses the standard library alone, follows no redirect and reads no proxy variable. Owns how it is said that
nobody answers.
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from proxy.cli.admin_key import VARIABLE, admin_key
from proxy.report.screen.words import lines

TIMEOUT_S = 5.0


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """200."""
        return self.status == http.client.OK

    @property
    def told(self) -> dict[str, Any]:
        """The object in it; empty for what is none."""
        try:
            told = json.loads(self.body)
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}


class SilentError(Exception):
    """Nobody answered, or not in HTTP; the message says why, as a part of a sentence."""


def ask(
    url: str,
    target: str = "",
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """The answer to one request; `target` is appended to the URL's path, and asked with the key of the admin port that
    the environment gives. Raises SilentError."""
    headers = {**(admin_key(None) if target else {}), **(headers or {})}
    parts = urlsplit(url)
    connection = connection_to(url, timeout_s)
    path = parts.path.rstrip("/") + target if target else parts.path or "/"
    try:
        with silence(timeout_s):
            connection.request(method, f"{path}?{parts.query}" if parts.query else path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read())
    finally:
        connection.close()


def connection_to(url: str, timeout_s: float) -> http.client.HTTPConnection:
    """Not opened yet; `timeout_s` is for each step."""
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return connect(parts.hostname or "", parts.port, timeout=timeout_s)


@contextmanager
def silence(timeout_s: float) -> Iterator[None]:
    """What goes wrong within becomes a SilentError."""
    try:
        yield
    except TimeoutError:
        raise SilentError(f"no answer within {timeout_s:g} s") from None
    except OSError as error:
        raise SilentError((error.strerror or str(error) or "cannot be reached").lower()) from None
    except http.client.HTTPException:
        raise SilentError("its answer is not HTTP") from None


def why_not(status: int, told: Mapping[str, Any]) -> str:
    """What is said of an answer that is not 200."""
    text = reason(status, told)
    return f"it answered {status}" + (f": {text}" if text else "")


def reason(status: int, told: Mapping[str, Any]) -> str:
    """The words of such an answer, and what to do where its key is missing; empty: it has none."""
    error = told.get("error")
    text = error.get("message") if isinstance(error, dict) else error
    hint = f"{VARIABLE} says it." if status == http.client.UNAUTHORIZED else ""
    return " ".join(part for part in (lines(str(text or "")), hint) if part)
