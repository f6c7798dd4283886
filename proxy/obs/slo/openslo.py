"""Service level objectives as OpenSLO v1 documents, for tools that read those. What OpenSLO has no word for (class,
model, tenant, thresholds) is in annotations, by which `tidegate slo import` reads it back.

Alert policies are left out: OpenSLO wants to be told whom they notify. The alerts are in the rules for Prometheus.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import yaml

from proxy.model.slos import MEASURES, ServiceLevelObjective
from proxy.model.units import format_duration

VERSION: Final = "openslo/v1"
SERVICE: Final = "tidegate"
ANNOTATED: Final = ("name", "class", "model", "tenant", *MEASURES)
"""What is in annotations, each as `tidegate.<name>`."""
_NO_NAME: Final = re.compile("[^a-z0-9-]+")
_UNITS_S: Final = {"d": 86_400, "h": 3600, "m": 60}


def openslo(slos: Sequence[ServiceLevelObjective]) -> str:
    """YAML documents: the service, then an SLO each."""
    names: list[str] = []
    for slo in slos:
        names.append(_free(_name(slo.name), names))
    service = _document("Service", {"name": SERVICE}, {"description": "What Tidegate answers."})
    documents = [service, *(_slo(slo, name) for slo, name in zip(slos, names, strict=True))]
    return yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True, width=1000, explicit_start=True)


def _slo(slo: ServiceLevelObjective, name: str) -> dict[str, Any]:
    metadata = {"name": name, "displayName": slo.name, "annotations": _annotations(slo)}
    spec = {
        "description": _description(slo),
        "service": SERVICE,
        "indicator": {
            "metadata": {"name": f"{name[:58]}-good"},
            "spec": {
                "ratioMetric": {
                    "counter": True,
                    "good": _metric(slo, "tidegate_slo_good_events_total"),
                    "total": _metric(slo, "tidegate_slo_events_total"),
                }
            },
        },
        "timeWindow": [{"duration": _shorthand(slo.window), "isRolling": True}],
        "budgetingMethod": "Occurrences",
        "objectives": [{"displayName": slo.name, "target": round(slo.objective, 10)}],
    }
    return _document("SLO", metadata, spec)


def _document(kind: str, metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _metric(slo: ServiceLevelObjective, counter: str) -> dict[str, Any]:
    return {"metricSource": {"type": "Prometheus", "spec": {"query": f'sum({counter}{{slo="{slo.name}"}})'}}}


def _annotations(slo: ServiceLevelObjective) -> dict[str, str]:
    values = {"name": slo.name, "class": slo.class_, "model": slo.model, "tenant": slo.tenant}
    limits = {name: getattr(slo, name) for name in MEASURES}
    values |= {name: None if limit is None else format_duration(limit) for name, limit in limits.items()}
    return {f"tidegate.{name}": value for name, value in values.items() if value is not None}


def _description(slo: ServiceLevelObjective) -> str:
    whose = [f"class {slo.class_}"]
    whose += [f"model {slo.model}"] if slo.model else []
    whose += [f"tenant {slo.tenant}"] if slo.tenant else []
    limits = [f"{name} {format_duration(limit)}" for name in MEASURES if (limit := getattr(slo, name)) is not None]
    kept = f" within {', '.join(limits)}" if limits else ""
    return f"Requests of {', '.join(whose)} that are served{kept}; clients' own errors and departures do not count."


def _shorthand(window_s: float) -> str:
    """Of OpenSLO: whole days, hours or minutes."""
    unit, size = next(((unit, size) for unit, size in _UNITS_S.items() if not window_s % size), ("m", 60))
    return f"{-int(-window_s // size)}{unit}"


def _name(name: str) -> str:
    """By RFC 1123."""
    return _NO_NAME.sub("-", name.lower())[:63].strip("-") or "slo"


def _free(name: str, taken: Sequence[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name[:59]}-{number}"
    return free
