"""What is promised to whom: from one line of text to the SLO of every arrival.

    mooncake                                        TTFT ≤ max(2 s, 3 x unloaded prefill), mean TPOT ≤ 100 ms
    ttft=200ms,tpot=40ms                            the same for all
    interactive:ttft=200ms,tpot=40ms;bulk:none      by class
    ttft=2s,prefill=3,tpot=100ms,e2e=60s            `prefill`: at least so many unloaded prefills for the first token
    ttft=3x,tpot=100ms                              so many unloaded prefills of this very prompt, however long it is

Owns the grammar and the arithmetic. An unloaded prefill is that of the whole prompt on an idle engine with the
published constants, one step at least, whatever engines are simulated: a promise does not hang on who keeps it. What a
trace promises to a request itself goes before all this.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf

from proxy.model.units import parse_duration_s
from proxy.sim.engine.spec import MOONCAKE16
from proxy.workload.arrival import Arrival, Slo

ANY_CLASS = "*"
_DURATIONS = ("ttft", "tpot", "e2e")


@dataclass(frozen=True, slots=True)
class SloRule:
    """The promise to one class."""

    ttft_s: float | None = None
    prefills: float = 0.0
    """TTFT is at least so many unloaded prefills; exactly so many where `ttft_s` is None."""
    tpot_s: float | None = None
    e2e_s: float | None = None

    def slo(self, prompt_tokens: int) -> Slo:
        """For a prompt of that length."""
        ttft = self.ttft_s
        if self.prefills:
            ttft = max(ttft or 0.0, self.prefills * max(MOONCAKE16.step_s, MOONCAKE16.prefill_s(0, prompt_tokens)))
        return Slo(ttft, self.tpot_s, self.e2e_s)


MOONCAKE = SloRule(ttft_s=2.0, prefills=3.0, tpot_s=0.1)
CHAT = SloRule(ttft_s=0.2, tpot_s=0.04)
"""Conversations."""
_NAMED = {"mooncake": MOONCAKE, "chat": CHAT, "none": SloRule()}

SloRules = dict[str, SloRule]
"""By class; `ANY_CLASS` for the others."""


def parse_slo(text: str) -> SloRules:
    """The rules that a line of text stands for. Raises ValueError, saying what is wrong."""
    rules: SloRules = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, colon, promise = part.partition(":")
        if not colon:
            name, promise = ANY_CLASS, part
        if name in rules:
            raise ValueError(f"two SLOs for {'all classes' if name == ANY_CLASS else name}")
        rules[name] = _rule(promise.strip())
    if not rules:
        raise ValueError("is empty; write for example ttft=2s,tpot=100ms")
    return rules


def promised(arrivals: Iterable[Arrival], rules: SloRules) -> list[Arrival]:
    """The arrivals, each with its SLO."""
    other = rules.get(ANY_CLASS, SloRule())
    return [
        replace(arrival, slo=rules.get(arrival.traffic_class or ANY_CLASS, other).slo(arrival.prompt_tokens))
        if arrival.slo.promises_nothing
        else arrival
        for arrival in arrivals
    ]


def _rule(text: str) -> SloRule:
    if text in _NAMED:
        return _NAMED[text]
    values: dict[str, float] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or (key != "prefill" and key not in _DURATIONS):
            raise ValueError(f"{part!r} is not a promise; known: {', '.join(_NAMED)}, ttft=, tpot=, e2e=, prefill=")
        if key == "ttft" and value.endswith("x"):
            key, value = "prefill", value[:-1]
        number = _factor(value) if key == "prefill" else parse_duration_s(value)
        if not 0 < number < inf:
            raise ValueError(f"{part!r} can never be kept; it must be above 0")
        values["prefills" if key == "prefill" else f"{key}_s"] = number
    return SloRule(**values)


def _factor(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"prefill={text!r} is not a number") from None
