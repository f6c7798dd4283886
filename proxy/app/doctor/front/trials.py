"""What is asked through the public URL, and what was seen of it at both ends. Plain values.

Each request carries a mark that only this look around knows, so that whoever answers can tell it from a client's.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

PATH: Final = "/v1/chat/completions"
AGENT: Final = "tidegate-doctor"
EVENTS: Final = 12
PAUSE_S: Final = 0.1
"""Between two events of the doctor's own stream."""
SILENCE_S: Final = 3.0
"""After them, before its end, unless the operator wants another."""
RETRY_AFTER: Final = "7"
"""Of the doctor's own 503: nobody else says it."""
ANSWER_HEADERS: Final = ("x-request-id", "x-tidegate-route", "server-timing")
"""What each answer of the proxy has; a trial's stand-in too."""
ASKED_HEADERS: Final = ("x-request-id", "x-tidegate-class", "traceparent")
"""What the proxy heeds of a request,"""
KEY_HEADERS: Final = ("authorization", "x-api-key")
"""and where clients show their key: OpenAI's and Anthropic's way."""


class Trial(StrEnum):
    """One request."""

    STREAM = "stream"
    """Events with pauses, then a silence."""
    LEAVE = "leave"
    """A stream whose client leaves after its first event."""
    ERROR = "error"
    """A 503 that says when to come again."""
    CONTINUE = "continue"
    """A client that asks before it sends its body."""
    SIZE = "size"
    """The head of the largest body that the proxy takes; the body is never sent."""


class Arrived(NamedTuple):
    """A request as it came to the proxy's address."""

    version: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body_b: int


class Answer(NamedTuple):
    """What a client got through the public URL; times in seconds since it began to ask."""

    status: int = 0
    """0: none."""
    headers: Mapping[str, str] = {}
    """Names in lower case."""
    body: bytes = b""
    """Unpacked, where it was packed."""
    events_at: tuple[float, ...] = ()
    """When each event was seen."""
    took_s: float = 0.0
    is_whole: bool = False
    """It ended as HTTP says; else it was cut."""
    continued_s: float | None = None
    """When it was told to go on with its body; None: never."""
    error: str = ""
    """Why there is no answer."""

    def arrivals(self, apart_s: float) -> int:
        """Groups of events that came at different times."""
        gaps = [later - one for one, later in zip(self.events_at, self.events_at[1:], strict=False)]
        return bool(self.events_at) + sum(gap > apart_s for gap in gaps)


class Walk(NamedTuple):
    """All trials of one look around."""

    public: str
    """The URL."""
    listen: str
    """Where the proxy is to be reached by what stands in front."""
    answers: dict[Trial, Answer]
    arrived: dict[Trial, list[Arrived]] | None = None
    """What came to the stand-in; None: a proxy runs there, which answered itself."""
    left_after_s: float | None = None
    """When the stand-in heard that the client had left; None: never."""
    silence_s: float = SILENCE_S
    direct: Mapping[Trial, Answer] = {}
    """The same, asked at the proxy's own address."""
    body_b: int = 0
    """The largest body that the proxy takes."""
    has_key: bool = False
    """A key of the operator was shown."""
    is_by_key: bool = True
    """Clients say who they are by a key, so that it has to arrive."""
    note: str = ""
    """Why there are no trials."""


_STREAMS: Final = (Trial.STREAM, Trial.LEAVE)


def body(trial: Trial, mark: str, model: str) -> bytes:
    """Of one request: short, and cheap for an engine that gets it. Of the others a running proxy is asked for a model
    that there is not."""
    text = f"Count from 1 to 40. {mark} {trial}" if model else f"{mark} {trial}"
    asked = {
        "model": f"{model}-{mark}" if model and trial not in _STREAMS else model or AGENT,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": 24,
        "temperature": 0,
        "user": AGENT,
        "stream": trial in _STREAMS,
    }
    return json.dumps(asked).encode()


def headers(trial: Trial, mark: str, key: str, *, is_answered_here: bool) -> dict[str, str]:
    """Of one request. `key`: the operator's, else one that nobody has; `is_answered_here`: by the stand-in, which takes
    whatever is said."""
    said = {
        "user-agent": AGENT,
        "accept": "*/*",
        "accept-encoding": "gzip, deflate",
        "content-type": "application/json",
        "authorization": f"Bearer {key or mark}",
        "x-request-id": f"doctor-{mark}-{trial}",
    }
    if is_answered_here:
        said |= {
            "x-api-key": key or mark,
            "x-tidegate-class": AGENT,
            "traceparent": f"00-{mark}-{mark[:16]}-00",
        }
    return said
