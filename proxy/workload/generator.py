"""Made-up traffic from a seed: conversations, bulk jobs, bursts, tenants. Same workload, same seed: same arrivals.

Owns the shapes of traffic. Each is a mixture of two sources:

- *conversations*: multi-turn chats on one of a few shared system prompts; every turn carries all that was said before,
  so its prefix is the turn before it. The next turn comes a pause after the last answer would have ended;
- *jobs*: long prompts of their own and long answers, one at a time.

    chat      conversations only          bulk      jobs only          mixed     both
    bursts    mixed, arrivals with a high coefficient of variation (gamma)
    tenants   mixed, one tenant asking for several times its share
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Annotated, NamedTuple

from pydantic import Field

from proxy.config.plain import Settings
from proxy.config.written import Duration
from proxy.workload.arrival import Arrival

MAX_REQUESTS = 5_000_000
BLOCK_TOKENS = 64
"""Tokens per prefix hash: fine enough for short chats; `EngineSpec.prefix_tokens` has to agree."""
_READING_S = 0.03
"""Assumed: seconds per token of an answer until its reader goes on, on top of the pause."""
_LEAD = 4.0
"""Mean lengths of a conversation: fewer than 2 in 100 last longer."""

Positive = Annotated[float, Field(gt=0)]
Tokens = Annotated[int, Field(ge=1, le=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1)]


class LengthMix(Settings):
    """Log-normal: half are below the median; `spread` is the standard deviation of the logarithm."""

    median: Tokens
    """Tokens."""
    spread: Annotated[float, Field(ge=0, le=3)] = 0.6
    """0: all alike."""
    max: Tokens = 32_768
    """Longer ones are cut."""

    def draw(self, rng: Random) -> int:
        """One length."""
        return max(1, min(self.max, round(self.median * math.exp(rng.gauss(0.0, self.spread)))))


class ConversationSettings(Settings):
    """Chats of several turns."""

    system_prompts: Annotated[int, Field(ge=1, le=100_000)] = 16
    """Different ones; a conversation begins with one of them, the first ones more often."""
    system: LengthMix = LengthMix(median=1500, spread=0.4)
    """Tokens of a system prompt."""
    turns: Annotated[float, Field(ge=1, le=1000)] = 5.0
    """Mean number of turns (geometric)."""
    user: LengthMix = LengthMix(median=120, spread=0.9)
    """Tokens that a turn adds."""
    answer: LengthMix = LengthMix(median=180, spread=0.7, max=4096)
    """Tokens of an answer."""
    pause: Annotated[Duration, Field(gt=0)] = 10.0
    """Mean pause between an answer and the next turn (exponential)."""
    max_tokens: Tokens | None = None
    """What the client asks for at most; null: nothing."""


class JobSettings(Settings):
    """Bulk work."""

    prompt: LengthMix = LengthMix(median=6000, spread=0.8, max=65_536)
    """Tokens of a prompt."""
    answer: LengthMix = LengthMix(median=500, spread=0.5, max=4096)
    """Tokens of an answer."""
    max_tokens: Tokens | None = None
    """What the client asks for at most; null: nothing."""


class TenantMix(Settings):
    """Who asks. Conversations and jobs belong to one tenant each."""

    count: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Tenants of equal right; 1: nobody is named."""
    greedy: Annotated[float, Field(ge=1)] = 1.0
    """The first asks for so many times the traffic of each other one; the others' traffic stays what it is."""


class Workload(Settings):
    """A kind of traffic; the named ones differ in these numbers only."""

    rate: Positive = 20.0
    """Mean requests per second, of all tenants but the greedy one's excess."""
    duration: Annotated[Duration, Field(gt=0)] = 300.0
    """Arrivals stop after this."""
    bulk_share: Share = 0.0
    """Share of the requests that are jobs."""
    cv: Annotated[float, Field(gt=0, le=50)] = 1.0
    """Coefficient of variation of the pauses between conversations and between jobs; 1: Poisson."""
    conversations: ConversationSettings = ConversationSettings()
    """Class `interactive`."""
    jobs: JobSettings = JobSettings()
    """Class `bulk`."""
    tenants: TenantMix = TenantMix()
    """Who asks."""
    models: dict[str, Positive] = Field(default_factory=dict)
    """Which models are asked for, and in what proportion; empty: those that the configuration's backends list."""


WORKLOADS: dict[str, Workload] = {
    "chat": Workload(),
    "bulk": Workload(rate=4.0, bulk_share=1.0),
    "mixed": Workload(bulk_share=0.15),
    "bursts": Workload(bulk_share=0.15, cv=6.0),
    "tenants": Workload(bulk_share=0.15, tenants=TenantMix(count=4, greedy=4.0)),
}


def generate(workload: Workload, seed: int, limit: int | None = None) -> list[Arrival]:
    """The arrivals, in order of time. Raises ValueError for more than `MAX_REQUESTS`."""
    traffic = workload.rate * (1 + (workload.tenants.greedy - 1) / workload.tenants.count)
    if traffic * workload.duration > MAX_REQUESTS:
        raise ValueError(f"{traffic * workload.duration:,.0f} requests; at most {MAX_REQUESTS:,}")
    arrivals: list[Arrival] = []
    for tenant in range(workload.tenants.count):
        factor = workload.tenants.greedy if tenant == 0 else 1.0
        rate = workload.rate / workload.tenants.count * factor
        arrivals += _of_tenant(workload, tenant, rate, seed)
    arrivals.sort(key=lambda a: a.at)
    return arrivals[:limit]


def _of_tenant(workload: Workload, tenant: int, rate: float, seed: int) -> Iterator[Arrival]:
    name = f"tenant-{tenant + 1}" if workload.tenants.count > 1 else None
    chats = _Chats(workload.conversations, seed, tenant)
    chat_rate = rate * (1 - workload.bulk_share) / workload.conversations.turns
    starts = _moments(chat_rate, -_lead_s(workload.conversations), workload, _rng(seed, "chats", tenant))
    for number, start in enumerate(starts):
        turns = chats.conversation(start, number)
        yield from (chats.arrival(turn, number, name) for turn in turns if 0 <= turn.at < workload.duration)
    moments = _moments(rate * workload.bulk_share, 0.0, workload, _rng(seed, "jobs", tenant))
    for number, at in enumerate(moments):
        yield replace(_job(workload.jobs, at, _rng(seed, "job", tenant, number)), tenant=name)


def _lead_s(settings: ConversationSettings) -> float:
    """So long before the first arrival conversations begin, so that the traffic starts in full: its first second has
    first, second and tenth turns as every other one."""
    return _LEAD * settings.turns * (settings.pause + _READING_S * settings.answer.median)


def _moments(rate: float, start: float, workload: Workload, rng: Random) -> Iterator[float]:
    """Gamma-distributed pauses: shape 1 / cv², so that `cv` is their coefficient of variation."""
    if rate <= 0:
        return
    shape = 1 / workload.cv**2
    at = start + rng.random() / rate
    while at < workload.duration:
        yield at
        at += rng.gammavariate(shape, 1 / (rate * shape))


class _Turn(NamedTuple):
    at: float
    system: int
    """Which system prompt."""
    history: int
    """Tokens of the prompt."""
    answer: int
    """Tokens."""


class _Chats:
    """Conversations of one tenant; system prompts are shared by all tenants."""

    def __init__(self, settings: ConversationSettings, seed: int, tenant: int) -> None:
        self._settings = settings
        self._seed, self._tenant = seed, tenant
        self._systems = [settings.system.draw(_rng(seed, "system", i)) for i in range(settings.system_prompts)]
        self._weights = [1 / (i + 1) for i in range(settings.system_prompts)]

    def conversation(self, start: float, number: int) -> Iterator[_Turn]:
        """Its turns, each with the whole history as its prompt."""
        settings = self._settings
        rng = _rng(self._seed, "chat", self._tenant, number)
        [system] = rng.choices(range(len(self._systems)), self._weights)
        history, at = self._systems[system], start
        while True:
            history += settings.user.draw(rng)
            answer = settings.answer.draw(rng)
            yield _Turn(at, system, history, answer)
            if rng.random() < 1 / settings.turns:
                return
            history += answer
            at += _READING_S * answer + rng.expovariate(1 / settings.pause)

    def arrival(self, turn: _Turn, number: int, tenant: str | None) -> Arrival:
        """A turn of the conversation of that number."""
        most = self._settings.max_tokens
        return Arrival(
            turn.at,
            turn.history,
            turn.answer,
            self._hashes(turn.system, number, turn.history),
            traffic_class="interactive",
            tenant=tenant,
            max_tokens=most and max(most, turn.answer),
        )

    def _hashes(self, system: int, number: int, tokens: int) -> tuple[int, ...]:
        """The blocks of the system prompt are everybody's, the rest this conversation's own."""
        shared = self._systems[system] // BLOCK_TOKENS
        return tuple(
            _block(self._seed, 0, system, i) if i < shared else _block(self._seed, 1 + self._tenant, number, i)
            for i in range(tokens // BLOCK_TOKENS)
        )


def _job(settings: JobSettings, at: float, rng: Random) -> Arrival:
    tokens, answer = settings.prompt.draw(rng), settings.answer.draw(rng)
    return Arrival(
        at,
        tokens,
        answer,
        tuple(rng.getrandbits(62) for _ in range(tokens // BLOCK_TOKENS)),
        traffic_class="bulk",
        max_tokens=settings.max_tokens and max(settings.max_tokens, answer),
    )


def _rng(*parts: object) -> Random:
    """Depends on these values only, on every machine."""
    return Random(repr(parts))  # noqa: S311 — reproducible, not secret


def _block(*parts: int) -> int:
    """A number for a block of a prompt: the same parts, the same number; others, practically always another."""
    mixed = 0x9E3779B97F4A7C15
    for part in parts:
        mixed = ((mixed ^ part) * 0xBF58476D1CE4E5B9 + 0x94D049BB133111EB) & 0xFFFF_FFFF_FFFF_FFFF
        mixed ^= mixed >> 29
    return mixed >> 2
