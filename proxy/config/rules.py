"""Rules that can never decide: what no request can be, and what an earlier rule takes away.

Owns the comparison of conditions with each other; what fits a request is the business of `core.classify`.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from proxy.config.backend import BackendOptions, served_names
from proxy.config.diagnostics import Severity
from proxy.config.finding import Finding
from proxy.config.options import OptionPath
from proxy.config.refusal import quoted, which_there_are
from proxy.engines.registry import DIALECTS
from proxy.model.engine_facts import NAMED, labels_of
from proxy.model.rules import Between, RuleSettings, When

_LISTS = ("endpoint", "tenant", "asked_class", "service_tier")
_FLAGS = ("stream", "constrained")
_RANGES = ("max_tokens", "prompt_tokens")
_TOLD_BY_SOME = frozenset[str]().union(*(dialect.tells for dialect in DIALECTS.values()))
_OPTION_OF = {name: "kind" if name == "engine" else name for name in NAMED} | {"kv_precision": "the label you mean"}


def rule_findings(
    rules: Sequence[RuleSettings], classes: frozenset[str] | None, backends: Mapping[int, BackendOptions]
) -> Iterator[Finding]:
    """What is wrong with the rules; `classes`: every name there is, None: not known."""
    for index, rule in enumerate(rules):
        path: OptionPath = ("routing", "rules", index)
        yield from _targets(path, rule, classes, backends)
        yield from _conditions(path, rule.when, classes, backends)
        earlier = next((i for i, other in enumerate(rules[:index]) if includes(other.when, rule.when)), None)
        if earlier is not None:
            message = f"never matches: routing.rules[{earlier}] takes everything it could"
            yield Finding(path, message, "put the narrower rule first", Severity.WARNING)


def _targets(
    path: OptionPath, rule: RuleSettings, classes: frozenset[str] | None, backends: Mapping[int, BackendOptions]
) -> Iterator[Finding]:
    if rule.class_ is not None and classes is not None and rule.class_ not in classes:
        yield Finding(
            (*path, "class"), f"there is no class {quoted(rule.class_)}", which_there_are(rule.class_, classes)
        )
    pools = {backend.pool for backend in backends.values()}
    if rule.pool is not None and pools and rule.pool not in pools:
        yield Finding(
            (*path, "pool"), f"no backend is in the pool {quoted(rule.pool)}", which_there_are(rule.pool, pools)
        )
        return
    there = {i: b for i, b in backends.items() if rule.pool in (None, b.pool)}
    yield from _labels(path, rule, there, {label for backend in backends.values() for label in backend.labels})
    yield from _facts(path, rule, there)
    yield from _served_there(path, rule, there, served_names(backends) if backends else None)


def _labels(
    path: OptionPath, rule: RuleSettings, there: Mapping[int, BackendOptions], labels: set[str]
) -> Iterator[Finding]:
    unknown = [label for label in rule.require if label not in labels and "=" not in label]
    for place, label in enumerate(rule.require):
        if label not in unknown:
            continue
        message = f"no backend has the label {quoted(label)}, so that what matches is refused"
        yield Finding((*path, "require", place), message, which_there_are(label, labels), Severity.WARNING)
    if not unknown and there and not any(_plain(rule) <= set(backend.labels) for backend in there.values()):
        yield Finding((*path, "require"), *_nobody_has(rule))
    near = {label for backend in there.values() for label in backend.labels}
    for place, label in enumerate(rule.prefer):
        if there and label not in near and "=" not in label:
            message = f"has no effect: no backend{_of_pool(rule)} has the label {quoted(label)}"
            yield Finding((*path, "prefer", place), message, which_there_are(label, near), Severity.WARNING)


def _facts(path: OptionPath, rule: RuleSettings, there: Mapping[int, BackendOptions]) -> Iterator[Finding]:
    """Facts that no engine there can have, as far as the file and the kinds of the engines tell."""
    for option, wanted in (("require", rule.require), ("prefer", rule.prefer)):
        for label in (label for label in wanted if "=" in label and there):
            if not any(_may_have(backend, label) for backend in there.values()):
                yield _nobody_is(path, option, label, rule, there)
    needed = [label for label in rule.require if "=" in label]
    if len(rule.require) < 2 or not all(any(_may_have(b, label) for b in there.values()) for label in needed):
        return
    able = [b for b in there.values() if all(_may_have(b, label) for label in needed)]
    if needed and not any(_plain(rule) <= set(backend.labels) for backend in able):
        message = f"no backend{_of_pool(rule)} has {', '.join(rule.require)} together, so that what matches is refused"
        yield Finding((*path, "require"), message, severity=Severity.WARNING)


def _nobody_is(
    path: OptionPath, option: str, label: str, rule: RuleSettings, there: Mapping[int, BackendOptions]
) -> Finding:
    fact, _, value = label.partition("=")
    then = "so that what matches is refused" if option == "require" else "so that it has no effect"
    theirs = {str(getattr(backend.facts, fact)) for backend in there.values()} - {"", "None"}
    hint = f"theirs: {', '.join(sorted(theirs))}" if theirs else f"write {_OPTION_OF[fact]} at a backend"
    return Finding((*path, option), f"no backend{_of_pool(rule)} has {fact} {value}, {then}", hint, Severity.WARNING)


def _may_have(backend: BackendOptions, label: str) -> bool:
    """Whether it is written so, or its engine may still say so."""
    fact = label.partition("=")[0]
    kind = DIALECTS.get(backend.known_kind)
    if label in labels_of(backend.facts):
        return True
    return kind is None if fact == "engine" else fact in (_TOLD_BY_SOME if kind is None else kind.tells)


def _plain(rule: RuleSettings) -> set[str]:
    return {label for label in rule.require if "=" not in label}


def _nobody_has(rule: RuleSettings) -> tuple[str, str]:
    plain = [label for label in rule.require if "=" not in label]
    wanted = ", ".join(map(quoted, plain))
    labels = f"the label {wanted}" if len(plain) == 1 else f"the labels {wanted} together"
    message = f"no backend{_of_pool(rule)} has {labels}, so that what matches is refused"
    return message, "require less, or give a backend these labels"


def _of_pool(rule: RuleSettings) -> str:
    return "" if rule.pool is None else f" of the pool {quoted(rule.pool)}"


def _served_there(
    path: OptionPath, rule: RuleSettings, there: Mapping[int, BackendOptions], everywhere: set[str] | None
) -> Iterator[Finding]:
    """Models that the rule sends to where nobody has them."""
    fit = {
        i: b
        for i, b in there.items()
        if _plain(rule) <= set(b.labels) and all("=" not in wanted or _may_have(b, wanted) for wanted in rule.require)
    }
    served = served_names(fit) if fit and (rule.pool or rule.require) else None
    for place, pattern in enumerate(rule.when.model):
        if everywhere is not None and not _names_any(pattern, everywhere):
            continue  # told already
        if served and not _names_any(pattern, served):
            message = f"no backend that this rule sends to serves {quoted(pattern)}, so that what matches is refused"
            yield Finding((*path, "when", "model", place), message, which_there_are(pattern, served), Severity.WARNING)


def _conditions(
    path: OptionPath, when: When, classes: frozenset[str] | None, backends: Mapping[int, BackendOptions]
) -> Iterator[Finding]:
    for name in _RANGES:
        between: Between = getattr(when, name)
        if between.max is not None and between.min > between.max:
            yield _never((*path, "when", name), f"min {between.min} is above max {between.max}")
    if when.asked_class and classes is not None and not classes.intersection(when.asked_class):
        yield _never((*path, "when", "asked_class"), "no such class can be asked for")
    served = served_names(backends) if backends else None
    unserved = [at for at, one in enumerate(when.model) if served is not None and not _names_any(one, served)]
    never = "the rule never matches: " if len(unserved) == len(when.model) else ""
    for at in unserved:
        name, hint = when.model[at], which_there_are(when.model[at], served or ())
        text = f"{never}no backend serves {quoted(name)}"
        yield Finding((*path, "when", "model", at), text, hint, Severity.WARNING)


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
