"""Which traffic class a request belongs to, and which backends its rule wants.

    rules ──none──▶ x-tidegate-class ──none──▶ service_tier ──none──▶ expected work ──▶ the tenant's ceiling

Owns that order, the matching of rules, and what is learned of how long answers get. Reads no header and no body.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp
from typing import Final

from proxy.model.cache import CacheRule
from proxy.model.classes import BULK_CLASS, DEFAULT_CLASS, ClassSettings, Promise
from proxy.model.hedge import Hedge
from proxy.model.prompts import PromptEdits
from proxy.model.rules import POOL_LABEL, Between, RuleSettings, When
from proxy.model.structured import ValidateSettings
from proxy.model.tenants import OTHERS, TenantSettings

_TIERS: Final = {"priority": DEFAULT_CLASS, "flex": BULK_CLASS}
"""Unless the operator has a class of the tier's own name."""
_PRIORITY_TIER: Final = 1
"""By how much `service_tier: priority` goes before others of its class."""
_MAX_KEYS: Final = 4096
_SEEN_ENOUGH: Final = 16
_RATE: Final = 0.05


@dataclass(slots=True, init=False)
class RequestTraits:
    """What rules look at."""

    endpoint: str
    model: str
    tenant: str
    stream: bool
    asked_class: str
    service_tier: str
    max_tokens: int | None
    prompt_tokens: int
    constrained: bool
    also: tuple[str, ...] = ()
    """Other spellings of the model."""
    promised: bool = False
    """It names a time of its own for the first token or between tokens."""

    def __init__(
        self,
        endpoint: str,
        model: str,
        tenant: str,
        stream: bool,
        asked_class: str,
        service_tier: str,
        max_tokens: int | None,
        prompt_tokens: int,
        constrained: bool,
        also: tuple[str, ...] = (),
        promised: bool = False,
    ) -> None:
        self.endpoint = endpoint
        self.model = model
        self.tenant = tenant
        self.stream = stream
        self.asked_class = asked_class
        self.service_tier = service_tier
        self.max_tokens = max_tokens
        self.prompt_tokens = prompt_tokens
        self.constrained = constrained
        self.also = also
        self.promised = promised


@dataclass(slots=True, init=False)
class Classified:
    """The class, and how it was found."""

    traffic_class: "TrafficClass"
    by: str
    """`rule`, `header`, `tier`, `work`, `default` or `ceiling`: what decided on the class."""
    rule: int | None = None
    """Place of the rule that fitted, from 0."""
    priority: int = 0
    require: frozenset[str] = frozenset()
    prefer: frozenset[str] = frozenset()

    def __init__(
        self,
        traffic_class: "TrafficClass",
        by: str,
        rule: int | None = None,
        priority: int = 0,
        require: frozenset[str] = frozenset(),
        prefer: frozenset[str] = frozenset(),
    ) -> None:
        self.traffic_class = traffic_class
        self.by = by
        self.rule = rule
        self.priority = priority
        self.require = require
        self.prefer = prefer


class TrafficClass:
    """One class, read once."""

    __slots__ = ("bulk", "cache", "demotable", "hedge", "name", "priority", "promise", "prompts", "stream", "validate")

    def __init__(self, settings: ClassSettings) -> None:
        self.name = settings.name
        self.bulk = settings.is_bulk
        self.priority = settings.priority
        self.demotable = settings.demotable
        self.promise: Promise = settings.slo.promise()
        self.stream = settings.stream
        self.prompts: PromptEdits | None = settings.prompts.edits(settings.answer.rule())
        self.hedge: Hedge | None = None if self.bulk else settings.hedge.rule()
        self.cache: CacheRule = settings.cache.rule()
        self.validate: ValidateSettings | None = settings.validate_ if settings.validate_.answers else None

    def is_above(self, other: "TrafficClass") -> bool:
        """Whether its requests go before those of the other one."""
        return other.bulk if self.bulk != other.bulk else self.priority > other.priority


class _Rule:
    __slots__ = ("class_name", "index", "prefer", "require", "when")

    def __init__(self, index: int, settings: RuleSettings) -> None:
        self.index = index
        self.when = settings.when
        self.class_name = settings.class_
        pool = () if settings.pool is None else (POOL_LABEL + settings.pool,)
        self.require = frozenset((*settings.require, *pool))
        self.prefer = frozenset(settings.prefer)


class Classifier:
    """One per configuration."""

    def __init__(
        self,
        classes: dict[str, ClassSettings],
        rules: Sequence[RuleSettings],
        bulk_tokens: int | None,
        tenants: Sequence[TenantSettings] = (),
    ) -> None:
        """`tenants`: those of the configuration, whose ceilings hold."""
        self.classes = {name: TrafficClass(settings) for name, settings in classes.items()}
        self._rules = [_Rule(index, rule) for index, rule in enumerate(rules)]
        self._bulk_tokens = bulk_tokens
        self._work = Work()
        entries = {entry.tenant: entry.highest_class for entry in tenants}
        self._highest_of_others = entries.pop(OTHERS, None)
        self._highest = entries
        self._has_ceilings = self._highest_of_others is not None or any(entries.values())

    def goes_on_from(self, before: "Classifier") -> None:
        """What another configuration's has learned holds here."""
        self._work = before._work

    def classify(self, asked: RequestTraits) -> Classified:
        """The class of a request. KeyError: the header names a class that does not exist."""
        found = self._by_request(asked)
        if not self._has_ceilings:
            return found
        name = self._highest.get(asked.tenant, self._highest_of_others)
        if name is None or not found.traffic_class.is_above(self.classes[name]):
            return found
        return replace(found, traffic_class=self.classes[name], by="ceiling", priority=0)

    def _by_request(self, asked: RequestTraits) -> Classified:
        rule = self._fitting(asked)
        if rule is None:
            return self._without_rule(asked)
        if rule.class_name is not None:
            found = Classified(self.classes[rule.class_name], "rule")
        else:
            found = self._without_rule(asked)
        return replace(found, rule=rule.index, require=rule.require, prefer=rule.prefer)

    def _fitting(self, asked: RequestTraits) -> _Rule | None:
        for rule in self._rules:
            if fits(rule.when, asked):
                return rule
        return None

    def learn(self, asked: RequestTraits, output_tokens: int) -> None:
        """An answer had so many tokens."""
        if not asked.stream:
            self._work.learn(asked, output_tokens)

    def _without_rule(self, asked: RequestTraits) -> Classified:
        classes = self.classes
        if asked.asked_class:
            return Classified(classes[asked.asked_class], "header")
        tier = asked.service_tier
        if tier in _TIERS:
            own = classes.get(tier)
            if own is not None:
                return Classified(own, "tier")
            return Classified(classes[_TIERS[tier]], "tier", priority=_PRIORITY_TIER if tier == "priority" else 0)
        if self._is_bulk_by_work(asked):
            return Classified(classes[BULK_CLASS], "work")
        return Classified(classes[DEFAULT_CLASS], "default")

    def _is_bulk_by_work(self, asked: RequestTraits) -> bool:
        """Never a stream, which somebody reads along, nor what has a promise to lose: answers of reasoning models are
        long, and they are waited for all the same."""
        most, promise = self._bulk_tokens, self.classes[DEFAULT_CLASS].promise
        if most is None or asked.stream or asked.promised:
            return False
        if promise.ttft_s is not None or promise.tpot_s is not None:
            return False
        return self._work.expected(asked) >= most


def fits(when: When, asked: RequestTraits) -> bool:
    """Whether every condition holds."""
    return (
        (not when.endpoint or asked.endpoint in when.endpoint)
        and (when.stream is None or when.stream == asked.stream)
        and (when.constrained is None or when.constrained == asked.constrained)
        and (not when.tenant or asked.tenant in when.tenant)
        and (not when.asked_class or asked.asked_class in when.asked_class)
        and (not when.service_tier or asked.service_tier in when.service_tier)
        and (not when.model or any(_means(pattern, asked) for pattern in when.model))
        and _within(when.max_tokens, asked.max_tokens)
        and _within(when.prompt_tokens, asked.prompt_tokens)
    )


def _means(pattern: str, asked: RequestTraits) -> bool:
    return names(pattern, asked.model) or any(names(pattern, other) for other in asked.also)


def names(pattern: str, name: str) -> bool:
    """Whether `pattern` (a name, or the beginning of one and `*`) stands for `name`."""
    return name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern


def _within(between: Between, value: int | None) -> bool:
    if not between.min and between.max is None:
        return True
    return value is not None and between.min <= value and (between.max is None or value <= between.max)


class Work:
    """How long whole answers usually get, by who asks what in which way."""

    def __init__(self) -> None:
        self._medians: OrderedDict[tuple[str, str, str, int], list[float]] = OrderedDict()
        """[median, samples]; bounded, the longest unused goes first."""

    def expected(self, asked: RequestTraits) -> float:
        """Tokens. Before anything was seen: what was asked for."""
        known = self._medians.get(_kind(asked))
        if known is None or known[1] < _SEEN_ENOUGH:
            return 0.0 if asked.max_tokens is None else float(asked.max_tokens)
        return known[0] if asked.max_tokens is None else min(known[0], float(asked.max_tokens))

    def learn(self, asked: RequestTraits, tokens: int) -> None:
        """One more answer."""
        kind, medians = _kind(asked), self._medians
        known = medians.get(kind)
        if known is None:
            if len(medians) >= _MAX_KEYS:
                medians.popitem(last=False)
            medians[kind] = [float(max(1, tokens)), 1.0]
            return
        medians.move_to_end(kind)
        known[1] += 1
        rate = max(_RATE, 1.0 / known[1])
        known[0] *= exp(rate if tokens > known[0] else -rate)


def _kind(asked: RequestTraits) -> tuple[str, str, str, int]:
    return asked.tenant, asked.endpoint, asked.model, (asked.max_tokens or 0).bit_length()
