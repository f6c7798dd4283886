"""Rules that can never decide: what no request can be, and what an earlier rule takes away.

Owns the comparison of conditions with each other; what fits a request is the business of `core.classify`.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from proxy.config.backend import Backend, served_names
from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.options import OptionPath
from proxy.config.refusal import did_you_mean, quoted
from proxy.model.rules import Between, RuleSettings, When

_LISTS = ("endpoint", "tenant", "asked_class", "service_tier")
_FLAGS = ("stream", "constrained")
_RANGES = ("max_tokens", "prompt_tokens")


def rule_findings(
    rules: Sequence[RuleSettings], classes: frozenset[str] | None, backends: Mapping[int, Backend]
) -> Iterator[Finding]:
    """What is wrong with the rules; `classes`: every name there is, None: not known."""
    labels = {label for backend in backends.values() for label in backend.labels}
    pools = {backend.pool for backend in backends.values()}
    for index, rule in enumerate(rules):
        path: OptionPath = ("routing", "rules", index)
        yield from _targets(path, rule, classes, labels, pools)
        yield from _conditions(path, rule.when, classes, backends)
        earlier = next((i for i, other in enumerate(rules[:index]) if includes(other.when, rule.when)), None)
        if earlier is not None:
            message = f"never matches: routing.rules[{earlier}] takes everything it could"
            yield Finding(path, message, "put the narrower rule first", Severity.WARNING)


def _targets(
    path: OptionPath, rule: RuleSettings, classes: frozenset[str] | None, labels: set[str], pools: set[str]
) -> Iterator[Finding]:
    if rule.class_ is not None and classes is not None and rule.class_ not in classes:
        yield Finding((*path, "class"), f"there is no class {quoted(rule.class_)}", did_you_mean(rule.class_, classes))
    if rule.pool is not None and pools and rule.pool not in pools:
        yield Finding((*path, "pool"), f"no backend is in the pool {quoted(rule.pool)}", did_you_mean(rule.pool, pools))
    for label in rule.require:
        if label not in labels:
            message = f"no backend has the label {quoted(label)}, so that what matches is refused"
            yield Finding((*path, "require"), message, did_you_mean(label, labels), Severity.WARNING)


def _conditions(
    path: OptionPath, when: When, classes: frozenset[str] | None, backends: Mapping[int, Backend]
) -> Iterator[Finding]:
    for name in _RANGES:
        between: Between = getattr(when, name)
        if between.max is not None and between.min > between.max:
            yield _never((*path, "when", name), f"min {between.min} is above max {between.max}")
    if when.asked_class and classes is not None and not classes.intersection(when.asked_class):
        yield _never((*path, "when", "asked_class"), "no such class can be asked for")
    served = served_names(backends) if backends else None
    if when.model and served is not None and not any(_names_any(pattern, served) for pattern in when.model):
        yield _never((*path, "when", "model"), "no backend serves such a model")


def _never(path: OptionPath, why: str) -> Finding:
    return Finding(path, f"the rule never matches: {why}", severity=Severity.WARNING)


def _names_any(pattern: str, served: set[str]) -> bool:
    return pattern in served or (pattern.endswith("*") and any(name.startswith(pattern[:-1]) for name in served))


def includes(wide: When, narrow: When) -> bool:
    """Whether every request that `narrow` fits is one that `wide` fits."""
    return (
        all(_list_includes(getattr(wide, name), getattr(narrow, name)) for name in _LISTS)
        and all(getattr(wide, name) in (None, getattr(narrow, name)) for name in _FLAGS)
        and all(_range_includes(getattr(wide, name), getattr(narrow, name)) for name in _RANGES)
        and (not wide.model or (bool(narrow.model) and all(_covered(name, wide.model) for name in narrow.model)))
    )


def _list_includes(wide: tuple[str, ...], narrow: tuple[str, ...]) -> bool:
    return not wide or (bool(narrow) and set(narrow) <= set(wide))


def _covered(name: str, patterns: tuple[str, ...]) -> bool:
    return any(name == p or (p.endswith("*") and name.removesuffix("*").startswith(p[:-1])) for p in patterns)


def _range_includes(wide: Between, narrow: Between) -> bool:
    if not wide.min and wide.max is None:  # fits unknown numbers too
        return True
    if not narrow.min and narrow.max is None:
        return False
    most = [float("inf") if limit is None else limit for limit in (narrow.max, wide.max)]
    return narrow.min >= wide.min and all(low <= high for low, high in pairwise(most))
