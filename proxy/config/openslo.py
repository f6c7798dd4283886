"""Reads OpenSLO v1: documents of kind SLO to entries of `slos`, with what was lost on the way.

Owns what is understood of other people's documents. What `tidegate slo rules --format openslo` wrote is read back
whole.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from pydantic import ValidationError

from proxy.config.finding import Finding
from proxy.config.messages import message_of
from proxy.config.options import shown
from proxy.config.plain import read
from proxy.config.slos import slo_findings
from proxy.model.slos import MAX_SLOS, MEASURES, ServiceLevelObjective

_VERSION: Final = "openslo/v1"
_MAX_DEPTH: Final = 32
_MAX_EVENTS: Final = 100_000
_SHORTHAND: Final = re.compile(r"([0-9]{1,6})([mhdwMQY])", re.ASCII)
_DAYS: Final = {"w": 7, "M": 30, "Q": 90, "Y": 365}
_SOUNDS_LIKE: Final = {
    "ttft": re.compile("ttft|first.?(token|chunk|byte)", re.IGNORECASE),
    "tpot": re.compile("tpot|itl|inter.?token|per.?output", re.IGNORECASE),
}
_PLAIN: Final = re.compile(r"[A-Za-z0-9.%][A-Za-z0-9._%/-]*", re.ASCII)
_Group = Mapping[str, Any]
_UNSAFE: Final = re.compile(r"[0-9][0-9._e+-]*|0x.*|true|false|null|yes|no|on|off|y|n|~", re.IGNORECASE)


@dataclass(slots=True)
class Imported:
    """What was understood of a file."""

    entries: list[dict[str, str]] = field(default_factory=list)
    """Options as they are written, each a valid objective."""
    problems: list[str] = field(default_factory=list)
    """Why others are not among them."""
    notes: list[str] = field(default_factory=list)
    """What those do not say, or say otherwise."""

    def text(self) -> str:
        """For a configuration."""
        lines = ["slos:"]
        for entry in self.entries:
            written = [f"{name}: {_scalar(value)}" for name, value in entry.items()]
            lines += [f"  - {written[0]}", *(f"    {line}" for line in written[1:])]
        return "\n".join(lines) + "\n"


def read_openslo(text: str, traffic_class: str) -> Imported:
    """`traffic_class`: of objectives that name none. Never raises for bad text."""
    found = Imported()
    try:
        _bounded(text)
        documents = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        found.problems.append(_why(error))
        return found
    for number, document in enumerate(documents, 1):
        if document is not None:
            _document(document, f"document {number}", traffic_class, found)
    if not found.entries and not found.problems:
        found.problems.append("holds no SLO of OpenSLO v1")
    return found


def _bounded(text: str) -> None:
    """ValueError for what is nested too deeply, too large or refers to itself."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > _MAX_DEPTH or count > _MAX_EVENTS:
            raise ValueError("aliases, more than 32 levels and more than 100,000 values are not read")


def _why(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"line {mark.line + 1}: is not YAML: {getattr(error, 'problem', '')}"
    return f"cannot be read: {error}" if isinstance(error, ValueError) else "is not YAML"


def _document(document: Any, place: str, traffic_class: str, found: Imported) -> None:
    if not isinstance(document, dict) or document.get("kind") != "SLO":
        if not isinstance(document, dict) or "kind" not in document:
            found.problems.append(f"{place}: is no OpenSLO document: it has no kind")
        return
    if document.get("apiVersion") != _VERSION:
        found.problems.append(f"{place}: must be of apiVersion {_VERSION}")
        return
    metadata, spec = _group(document, "metadata"), _group(document, "spec")
    name = _annotation(metadata, "name") or str(metadata.get("name", ""))
    place = f"SLO {name[:64]!r}" if name else place
    objectives = spec.get("objectives")
    listed = [one for one in objectives if isinstance(one, dict)] if isinstance(objectives, list) else []
    if not listed:
        found.problems.append(f"{place}: has no objectives")
    for number, objective in enumerate(listed, 1):
        one = _Slo(metadata, spec, objective, traffic_class)
        entry = one.written(name if number == 1 else f"{name[:60]}-{number}")
        wrong = _wrong(entry)
        if any(entry["name"] == other["name"] for other in found.entries):
            wrong = ["another one has this name"]
        found.problems += [f"{place}: {text}" for text in wrong]
        if not wrong and len(found.entries) < MAX_SLOS:
            found.entries.append(entry)
            found.notes += [f"{place}: {note}" for note in one.notes]
        elif not wrong:
            found.problems.append(f"{place}: is one too many; {MAX_SLOS} are read")


class _Slo:
    """One objective of one document."""

    def __init__(self, metadata: _Group, spec: _Group, objective: _Group, traffic_class: str) -> None:
        self._metadata, self._spec, self._objective, self._class = metadata, spec, objective, traffic_class
        self.notes: list[str] = []

    def written(self, name: str) -> dict[str, str]:
        """Its options."""
        told = {key: _annotation(self._metadata, key) for key in ("class", "model", "tenant", *MEASURES)}
        if told["class"] is None:
            self.notes.append(f"names no class; {self._class} is meant (--class)")
            told["class"] = self._class
        limit = self._limit()
        if limit is not None and not any(told[name] for name in MEASURES):
            told[limit[0]] = limit[1]
        if self._spec.get("budgetingMethod", "Occurrences") != "Occurrences":
            self.notes.append("counts time slices; here requests are counted")
        options = {"name": name, "class": told.pop("class"), "model": told.pop("model"), "tenant": told.pop("tenant")}
        options |= {"objective": self._share(), "window": self._window(), **told}
        return {key: value for key, value in options.items() if value is not None}

    def _share(self) -> str:
        target, percent = self._objective.get("target"), self._objective.get("targetPercent")
        share = _number(target) * 100 if target is not None else _number(percent)
        return f"{share:.8g}%"

    def _window(self) -> str:
        windows = self._spec.get("timeWindow")
        one = windows[0] if isinstance(windows, list) and windows and isinstance(windows[0], dict) else {}
        if one and (one.get("calendar") is not None or one.get("isRolling") is False):
            self.notes.append("has a calendar's window; here it rolls")
        match = _SHORTHAND.fullmatch(str(one.get("duration", "30d")))
        if match is None:
            return str(one.get("duration"))
        number, unit = match.groups()
        return f"{int(number) * _DAYS[unit]}d" if unit in _DAYS else f"{number}{unit}"

    def _limit(self) -> tuple[str, str] | None:
        """The threshold of a metric of times, which is taken for seconds."""
        metric = _group(_group(_group(self._spec, "indicator"), "spec"), "thresholdMetric")
        if not metric or self._objective.get("op") not in ("lte", "lt"):
            if "indicatorRef" in self._spec or metric:
                self.notes.append("has an indicator that is not understood; good is what is served")
            return None
        source = json.dumps(metric, default=str)
        name = next((name for name, sound in _SOUNDS_LIKE.items() if sound.search(source)), "e2e")
        self.notes.append(f"has a threshold, taken for {name} in seconds")
        return name, f"{_number(self._objective.get('value')) * 1000:.10g}ms"


def _wrong(entry: Mapping[str, str]) -> list[str]:
    try:
        slo = read(ServiceLevelObjective, entry)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_input=False)
        return [f"{'.'.join(map(str, error['loc']))} {message_of(error)}" for error in errors]
    return [_text(found) for found in slo_findings([slo], (), None, None)]


def _text(found: Finding) -> str:
    return f"{shown(found.path[2:])} {found.message}" + (f"; {found.hint}" if found.hint else "")


def _group(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    inside = of.get(name)
    return inside if isinstance(inside, dict) else {}


def _annotation(metadata: Mapping[str, Any], name: str) -> str | None:
    value = _group(metadata, "annotations").get(f"tidegate.{name}")
    return None if value is None else str(value)


def _number(value: Any) -> float:
    """NaN for what is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else float("nan")


def _scalar(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and not _UNSAFE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
