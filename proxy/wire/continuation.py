"""A stream of text that broke, continued by another engine as if nothing had happened.

Owns at which moments that may be tried (for which requests: `resumable`), what the next engine is asked, and how its
events are made to look like the first one's. Equality first: where the same text cannot be expected, the answer is no.
The rules and their reasons: tests/benchmarks/RESUME.md (decision 5). Sends nothing, chooses no backend.
"""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from proxy.model.endpoint import Endpoint
from proxy.wire import splice, sse, usage
from proxy.wire.event import Event
from proxy.wire.resumable import LIMITS, ResumeDialect
from proxy.wire.usage import Usage

MOST_TEXT_B: Final = 256 * 1024
"""Longer text is not continued: it would be kept in memory and sent once more."""

_MARKS: Final[tuple[str, ...]] = (
    "<|",
    "|>",
    "<\uff5c",
    "<think>",
    "</think>",
    "<s>",
    "</s>",
    "[INST]",
    "<start_of_turn>",
    "<end_of_turn>",
)
"""Spellings of special tokens: read back as text they may become tokens, or be cut out by a chat template."""
_IDENTITY: Final[tuple[str, ...]] = ("id", "created", "model", "system_fingerprint")


class Continuation:
    """The answer to one request so far, whichever engines gave it, and what is needed to go on elsewhere.

    For each attempt but the first: `body` is sent and `next_attempt` called. Of each attempt every event goes through
    `saw` as the engine sent it, and through `rewrite` as the last thing before it leaves.
    """

    __slots__ = (
        "_base_tokens",
        "_check_pending",
        "_chunks",
        "_dialect",
        "_endpoint",
        "_finished",
        "_identity",
        "_is_counted",
        "_limit",
        "_prompt",
        "_prompt_tokens",
        "_role_seen",
        "_role_sent",
        "_spoiled",
        "_text_b",
        "attempt",
        "disagrees",
        "tokens",
    )

    def __init__(self, fields: Mapping[str, Any], endpoint: Endpoint, dialect: ResumeDialect) -> None:
        """`fields` of a resumable request; `dialect` of the engine that answers first."""
        self._endpoint = endpoint
        self._dialect = dialect
        self._prompt: str = fields["prompt"] if endpoint is Endpoint.COMPLETIONS else ""
        self._limit = min((fields[name] for name in LIMITS if fields.get(name) is not None), default=None)
        self._chunks: list[str] = []
        self._text_b = 0
        self._identity: dict[str, Any] = {}
        self._prompt_tokens: int | None = None
        """As the first engine counted them, if it did."""
        self._is_counted = True
        """`tokens` is exact."""
        self._role_seen = False
        self._role_sent = False
        """Before the attempt that runs."""
        self._base_tokens = 0
        """`tokens` before the attempt that runs."""
        self._check_pending = False
        self._finished = False
        self._spoiled = False
        self.attempt = 1
        self.tokens = 0
        """Behind the text so far; not those of which an engine still withholds the text."""
        self.disagrees = False
        """The engine that continues reads the text as other tokens than were generated: its answer is not wanted."""

    @property
    def text(self) -> str:
        """All that engines have generated and the client has got, or will."""
        return "".join(self._chunks)

    def fits(self, dialect: ResumeDialect) -> bool:
        """Whether an engine of this kind may continue: only the same kind computes and tokenises alike."""
        return dialect.kind == self._dialect.kind

    def can_continue(self) -> bool:
        """Whether the text so far can be given to another engine and the same rest be expected."""
        if self._finished or self._spoiled or self.disagrees:
            return False
        text = self.text
        if not text:
            return True
        if not self._is_counted or (self._limit is not None and self.tokens >= self._limit):
            return False
        return self._reads_back(text)

    def body(self, original: bytes) -> bytes:
        """The client's body as the next engine shall get it: the text so far added, the limit reduced."""
        text = self.text
        if not text:
            return original
        if self._endpoint is Endpoint.CHAT:
            body = splice.with_item(original, "messages", {"role": "assistant", "content": text})
            body = splice.with_first(body, "add_generation_prompt", value=False)
            body = splice.with_first(body, "continue_final_message", value=True)
        else:
            body = splice.replace_value(original, "prompt", self._prompt + text)
        fields = orjson.loads(original)
        for name in LIMITS:
            if fields.get(name) is not None:
                body = splice.replace_value(body, name, fields[name] - self.tokens)
        return body

    def next_attempt(self) -> None:
        """From now on events come from another engine, which was sent `body`."""
        self.attempt += 1
        self._role_sent = self._role_seen
        self._base_tokens = self.tokens
        self._check_pending = self._prompt_tokens is not None and bool(self._chunks)

    def saw(self, event: Event) -> None:
        """A whole event as the engine sent it, before anything is done to it; not one that is withheld for good."""
        if not event.data:
            return
        if event.data == sse.DONE:
            self._finished = True
            return
        fields = event.object
        if not event.is_object or sse.says_error(fields):
            self._spoiled = True
            return
        if not self._identity.get("id"):
            self._identity = {name: fields[name] for name in _IDENTITY if fields.get(name) is not None}
        elif "system_fingerprint" not in self._identity and fields.get("system_fingerprint") is not None:
            self._identity["system_fingerprint"] = fields["system_fingerprint"]
        counts = usage.of_event(event)
        self._compare(counts)
        choices = fields.get("choices")
        if choices and not self.disagrees:
            self._take(choices, counts)

    def rewrite(self, event: Event) -> Event | None:
        """An event of the attempt that runs (whole, or a piece of one), as the client shall see it; None: not at all.

        The first attempt's pass as they are. An answer that disagrees gives nothing.
        """
        if self.attempt == 1:
            return event
        if self.disagrees:
            return None
        fields = event.object
        if not event.is_object or sse.says_error(fields):
            return event
        counts = usage.of_event(event)
        if self._role_sent and not _without_role(fields):
            return None
        for name, value in self._identity.items():
            if name in fields:
                fields[name] = value
        if isinstance(fields.get("usage"), dict):
            fields["usage"] = self._corrected_fields(fields["usage"], counts)
        return Event(b"data: " + orjson.dumps(fields) + b"\n\n")

    def corrected(self, counts: Usage) -> Usage:
        """Usage as the engine of the attempt that runs reported it, turned into the usage of the whole answer."""
        if self.attempt == 1:
            return counts
        prompt, completion, cached = counts
        if self._prompt_tokens is not None:
            prompt = self._prompt_tokens
        elif prompt is not None:
            prompt = max(0, prompt - self._base_tokens)
        if completion is not None:
            completion += self._base_tokens
        if cached is not None and prompt is not None:
            cached = min(cached, prompt)
        return Usage(prompt, completion, cached)

    # --- inside

    def _compare(self, counts: Usage) -> None:
        """The first count of an attempt's prompt: the first engine's own, or one that must agree with it."""
        if counts.prompt_tokens is None:
            return
        if self._prompt_tokens is None:
            if not self._base_tokens:  # later ones include text of ours, as another engine counts it
                self._prompt_tokens = counts.prompt_tokens
        elif self._check_pending:
            self._check_pending = False
            self.disagrees = counts.prompt_tokens != self._prompt_tokens + self._base_tokens

    def _take(self, choices: Any, counts: Usage) -> None:
        choice = choices[0] if isinstance(choices, list) and len(choices) == 1 else None
        if not isinstance(choice, dict) or choice.get("index", 0) != 0 or choice.get("logprobs"):
            self._spoiled = True
            return
        text = self._text_of(choice)
        if text is None:
            self._spoiled = True
            return
        self._finished |= bool(choice.get("finish_reason"))
        if text:
            self._add(text, counts.completion_tokens)

    def _text_of(self, choice: dict[str, Any]) -> str | None:
        """The text of a choice; None when there is something else in it."""
        if self._endpoint is Endpoint.COMPLETIONS:
            text = choice.get("text") or ""
        else:
            delta = choice.get("delta") or {}
            if not isinstance(delta, dict) or any(v for k, v in delta.items() if k not in ("role", "content")):
                return None
            self._role_seen |= bool(delta.get("role"))
            text = delta.get("content") or ""
        return text if isinstance(text, str) else None

    def _add(self, text: str, completion_tokens: int | None) -> None:
        if self._check_pending:  # text before any count: it can no longer be checked, so it is not let out
            self.disagrees = True
            return
        self._text_b += len(text.encode())
        if self._text_b > MOST_TEXT_B:
            self._chunks.clear()
            self._spoiled = True
            return
        self._chunks.append(text)
        if completion_tokens is not None:
            self.tokens = self._base_tokens + completion_tokens
            return
        self.tokens += 1
        self._is_counted &= self._dialect.one_token_per_event and text.isascii()

    def _reads_back(self, text: str) -> bool:
        """Whether an engine that gets the text back can be expected to see the tokens that were generated."""
        if text[-1].isspace() or any(mark in text for mark in _MARKS):
            return False
        if self._endpoint is Endpoint.CHAT:
            return self._prompt_tokens is not None and not text[0].isspace()
        return self._prompt_tokens is not None or (text[0].isspace() and not self._prompt[-1].isspace())

    def _corrected_fields(self, told: dict[str, Any], counts: Usage) -> dict[str, Any]:
        prompt, completion, cached = self.corrected(counts)
        if prompt is None or completion is None:
            return told
        total = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        fixed = {**told, **total}
        if cached is not None and isinstance(told.get("prompt_tokens_details"), dict):
            fixed["prompt_tokens_details"] = {**told["prompt_tokens_details"], "cached_tokens": cached}
        return fixed


def _without_role(fields: dict[str, Any]) -> bool:
    """Takes the role out of an event that repeats it; False when nothing else was in it."""
    choices = fields.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    delta = choice.get("delta") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(delta, dict) or "role" not in delta:
        return True
    del delta["role"]
    return any(delta.values()) or bool(choice.get("finish_reason"))
