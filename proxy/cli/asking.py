"""Asks a running proxy something at its admin port.

Uses the standard library alone, follows no redirect and reads no proxy variable. Owns how it is said that
nobody answers.
"""

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from proxy.cli.admin_key import admin_key

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
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=timeout_s)
    path = parts.path.rstrip("/") + target if target else parts.path or "/"
    try:
        connection.request(method, f"{path}?{parts.query}" if parts.query else path, body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read())
    except TimeoutError:
        raise SilentError(f"no answer within {timeout_s:g} s") from None
    except OSError as error:
        raise SilentError((error.strerror or str(error) or "cannot be reached").lower()) from None
    except http.client.HTTPException:
        raise SilentError("its answer is not HTTP") from None
    finally:
        connection.close()
