"""Traffic classes: what the operator promises to a kind of request, and how its streams look."""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from proxy.model.bounds import Bounds, Count, Duration, Short
from proxy.model.cache import ClassCacheSettings
from proxy.model.fallback import FallbackSettings
from proxy.model.hedge import HedgeSettings
from proxy.model.prompts import AnswerSettings, ClassPromptSettings
from proxy.model.structured import ValidateSettings
from proxy.model.windows import WindowSettings

DEFAULT_CLASS = "interactive"
BULK_CLASS = "bulk"


class Promise(NamedTuple):
    """What a class promises, all filled in; None: nothing."""

    ttft_s: float | None = None
    tpot_s: float | None = None
    e2e_s: float | None = None
    e2e_tokens: int = 0
    deadline_s: float | None = None


NOTHING_PROMISED = Promise()
SHORT_REPLY_TOKENS = 32
PRESETS = {
    "none": NOTHING_PROMISED,
    "chatbot": Promise(ttft_s=0.2, tpot_s=0.25, e2e_s=2.0, e2e_tokens=SHORT_REPLY_TOKENS),
    "copilot": Promise(ttft_s=0.15, tpot_s=0.05),
    "completion": Promise(ttft_s=0.1),
    "batch": Promise(deadline_s=3600.0),
}
"""A person reading along needs 4 tokens a second; an editor shows whole lines at once and must not stutter; a
completion is only of use while its writer pauses; a batch has all its time, but not for ever."""
PresetName = Literal["none", "chatbot", "copilot", "completion", "batch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """How a stream reaches the client. Text, order and usage never change, only event borders and their moments."""

    granularity: Literal["engine", "token", "text"] = "engine"
    """`engine`: as the engine packs its events. `token`: one event per token. `text`: whole characters and words, for
    clients on bad links."""
    pace: Literal["off", "smooth"] = "off"
    """`smooth`: tokens that arrive in a burst are spread over the usual gap between tokens."""
    max_delay: Duration = 0.05
    """`smooth`: no token is held back longer than this, and no stream grows by more."""
    flush: Duration = 0.0
    """`text`: unfinished text is passed on after this time at the latest. 0: at its next border."""
    ping: Duration = 0.0
    """A comment line after so much silence, for intermediaries that cut quiet connections. It makes the answer's head
    go out before the first token, so that a later error is an event instead of a status. 0: never."""
    resume: bool = False
    """When a backend dies or falls silent inside a greedy text (temperature 0), another one continues it from the text
    so far. Silent: 20 times the usual time per token, at least 2 s, and another backend has room."""
    reasoning_field: Literal["as_is", "both"] = "as_is"
    """`both`: thoughts come as `reasoning` and as `reasoning_content`, in whole answers too, whichever of the two names
    the engine has for them. `as_is`: by its own name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SloSettings:
    """What is promised, by the name of a preset, by numbers, or by a preset with numbers that override it."""

    preset: PresetName = "none"
    """`chatbot`: TTFT 200 ms, 4 tokens/s, short replies whole in 2 s. `copilot`: TTFT 150 ms, 20 tokens/s.
    `completion`: TTFT 100 ms. `batch`: an hour, nothing else. `slo: chatbot` is short for this option alone."""
    ttft: Duration | None = None
    """Time to first token. null: as the preset."""
    tpot: Duration | None = None
    """Mean time per output token after the first. null: as the preset."""
    e2e: Duration | None = None
    """Whole answer, when it is no longer than `e2e_tokens`. Counted in metrics, no reason to refuse. null: as the
    preset."""
    e2e_tokens: Count | None = None
    """Longest answer that `e2e` speaks of. null: as the preset, or every answer."""
    deadline: Duration | None = None
    """After so long nobody waits any more; a deadline of the request that is sooner counts. null: as the preset."""

    def promise(self) -> Promise:
        """With the preset's numbers where none is written."""
        base = PRESETS[self.preset]
        return Promise(
            _first(self.ttft, base.ttft_s),
            _first(self.tpot, base.tpot_s),
            _first(self.e2e, base.e2e_s),
            self.e2e_tokens or base.e2e_tokens,
            _first(self.deadline, base.deadline_s),
        )


def _first(written: float | None, preset: float | None) -> float | None:
    return preset if written is None else written


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassSettings:
    """One traffic class."""

    name: Annotated[str, Bounds(pattern=r"^[A-Za-z0-9._-]{1,32}$")]
    """What logs, metrics and the request header `x-tidegate-class` call it; `interactive` and `bulk` always exist."""
    stream: StreamSettings = StreamSettings()
    """How its streams look."""
    slo: Annotated[SloSettings, Short("preset")] = SloSettings()
    """What it promises: requests that nobody can serve so are held, and refused in the end."""
    bulk: bool | None = None
    """Throughput is what counts: it fills what the others leave, and waits rather than disturbs. null: for the class
    `bulk`, and for those of the preset `batch`."""
    priority: Annotated[int, Bounds(ge=-100, le=100)] = 0
    """Where jobs wait, those of a higher one go first."""
    demotable: bool = False
    """Rather late, as bulk, than refused."""
    fallback: FallbackSettings = FallbackSettings()
    """Where those go that would be refused (and are not demoted), or whose backends fail."""
    hedge: Annotated[HedgeSettings, Short("after")] = HedgeSettings()
    """Whether another backend is asked too when the first one is late."""
    prompts: ClassPromptSettings = ClassPromptSettings()
    """What is done to its prompts."""
    answer: AnswerSettings = AnswerSettings()
    """Whether its chats get a short answer first."""
    window: Annotated[WindowSettings | None, Short("mode")] = None
    """How long its jobs wait for others to go with them. null: as `routing.windows` says of their endpoint."""
    cache: Annotated[ClassCacheSettings, Short("mode")] = ClassCacheSettings()
    """Which of its answers are given again to the same request."""
    validate_: Annotated[ValidateSettings, Short("answers")] = ValidateSettings()
    """Whether answers that must have a form are checked to have it."""

    @property
    def is_bulk(self) -> bool:
        """`bulk`, or what is meant when it is not written."""
        if self.bulk is not None:
            return self.bulk
        return self.name == BULK_CLASS or self.slo.preset == "batch"


def with_built_in(classes: tuple[ClassSettings, ...]) -> dict[str, ClassSettings]:
    """All classes by name: those of the operator, and the built-in ones where the operator said nothing."""
    built_in = (ClassSettings(name=DEFAULT_CLASS), ClassSettings(name=BULK_CLASS))
    return {entry.name: entry for entry in (*built_in, *classes)}
