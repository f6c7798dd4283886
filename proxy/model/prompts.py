"""Named prompts, and what is done to the prompts of a class, as options."""

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal, NamedTuple

from proxy.model.bounds import Bounds, Duration, Form
from proxy.model.line_pattern import line_pattern

MAX_PATTERNS: Final = 16
MAX_VERSIONS: Final = 16
LinePattern = Annotated[str, Form.LINE]
HistoryTokens = Annotated[int, Bounds(ge=64, le=100_000_000)]


class FirstAnswer(NamedTuple):
    """The rule for first answers of a class or a prompt, read once."""

    tokens: int
    style: str
    keep_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSettings:
    """Short first: chats without tools and schemas get a short answer, which can be asked to go on where its prompt is
    in an engine's cache, by `POST /v1/tidegate/requests/{id}/expand` or the header `x-tidegate-expand: <id>`. The id is
    in `x-tidegate-expandable` of the answer."""

    first: Annotated[int, Form.TOKENS] | None = None
    """Most tokens of the first answer, such as 120 tokens. null: answers are as clients ask for them."""
    style: Literal["short", "cut"] = "short"
    """`short`: a sentence in the system's message asks for a short one. `cut`: it only ends there."""
    keep: Annotated[float, Form.DURATION, Bounds(gt=0, le=86_400)] = 600.0
    """For so long it can be expanded; 64 MiB of prompts and answers are kept, the oldest go first."""

    def rule(self) -> FirstAnswer | None:
        """None: there is none."""
        return None if self.first is None else FirstAnswer(self.first, self.style, self.keep)


class PromptEdits(NamedTuple):
    """What is done to the prompts of one class, read once."""

    strip: "tuple[re.Pattern[str], ...]" = ()
    history: int | None = None
    """Most tokens of a conversation; None: all of it."""
    first: FirstAnswer | None = None


NO_EDITS: Final = PromptEdits()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPromptSettings:
    """What is done to the prompts of a class before an engine sees them. Nothing, unless it is written."""

    strip: Annotated[tuple[LinePattern, ...], Bounds(max_length=MAX_PATTERNS)] = ()
    """Lines of system prompts to take out since they change with every request and spoil prefix caches: by the name
    that they begin with, such as `x-anthropic-billing-header` (or `billing`, for that one), or by a pattern that begins
    with `^`. `tidegate prefix report` says which there are."""
    history: HistoryTokens | None = None
    """Most tokens of a conversation (estimated, four bytes each) beside the system's messages. Above, its oldest turns
    are cut, never a tool's call without its result, never the last turn's question; `x-tidegate-history` says so. null:
    nothing is cut."""

    def edits(self, first: FirstAnswer | None = None) -> PromptEdits | None:
        """With the rule for first answers of the class. None: nothing is done."""
        if not self.strip and self.history is None and first is None:
            return None
        return PromptEdits(tuple(map(line_pattern, self.strip)), self.history, first)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptVersion:
    """One version of a named prompt."""

    version: Annotated[str, Form.VERSION]
    """What requests and metrics call it, such as 3."""
    file: Annotated[str, Form.FILE]
    """Relative to this configuration. Text is the system's prompt, with `{{variables}}`; `{{> other.md}}` includes a
    file beside it. YAML or JSON may have `system`, `messages` (examples) and `tools`."""
    weight: Annotated[int, Bounds(ge=0, le=1000)] = 1
    """Its share of the conversations that name no version, such as 90 beside 10. 0: only by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSettings:
    """A named prompt: requests use it by `prompt: {id, version, variables}` or `x-tidegate-prompt: support@3`."""

    name: Annotated[str, Bounds(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    """What requests call it."""
    versions: Annotated[tuple[PromptVersion, ...], Bounds(min_length=1, max_length=MAX_VERSIONS)]
    """A conversation keeps its version."""
    order: Literal["stable_first", "as_written"] = "stable_first"
    """`stable_first`: sections of the system's text (between blank lines) without variables go before those with, so
    that engines compute them once for all."""
    history: HistoryTokens | None = None
    """As in a class; the lesser one counts."""
    answer: AnswerSettings = AnswerSettings()
    """As in a class, whose own does not count then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmSettings:
    """Named prompts that an engine computes before it takes traffic: when it joins, comes back or lists a new model."""

    prompts: Annotated[tuple[str, ...], Bounds(max_length=64)] = ()
    """Names of prompts; of each the versions with a weight, up to their first variable. None: nothing is asked."""
    requests: Annotated[int, Bounds(ge=1, le=1024)] = 32
    """Most requests to one backend, one after the other, of one token each: prompts times models."""
    timeout: Duration = 10.0
    """After so long it takes traffic all the same."""
