"""What is written as OpenSLO v1: as its specification wants names, windows and indicators; and it is read back."""

import re
from dataclasses import replace
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from proxy.config.openslo import read_openslo
from proxy.config.plain import read
from proxy.model.slos import ServiceLevelObjective
from proxy.obs.slo.openslo import openslo

CHAT = ServiceLevelObjective(name="chat", class_="interactive", objective=0.995)
MANY = [
    CHAT,
    replace(CHAT, name="Chat", ttft=0.25, tpot=0.05, e2e=12.5, model='org/a "m", x', tenant="0123abcd"),
    replace(CHAT, name="chat_", objective=0.999999, window=5400.0, class_="bulk"),
    replace(CHAT, name="x" * 63, window=92 * 86400.0),
    replace(CHAT, name="X" * 63, window=3600.0),
    replace(CHAT, name="...", objective=0.5, window=7 * 86400.0),
]
NAME = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_METRIC = {
    "type": "object",
    "required": ["metricSource"],
    "properties": {"metricSource": {"type": "object", "required": ["type", "spec"]}},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "openslo/v1"},
        "kind": {"enum": ["SLO", "Service"]},
        "metadata": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"pattern": NAME},
                "annotations": {
                    "propertyNames": {"pattern": "^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$"},
                    "additionalProperties": {"type": "string"},
                },
            },
        },
    },
    "if": {"properties": {"kind": {"const": "SLO"}}},
    "then": {
        "properties": {
            "spec": {
                "type": "object",
                "required": ["service", "indicator", "timeWindow", "budgetingMethod", "objectives"],
                "properties": {
                    "description": {"type": "string", "maxLength": 1050},
                    "service": {"pattern": NAME},
                    "indicator": {
                        "type": "object",
                        "required": ["metadata", "spec"],
                        "properties": {
                            "metadata": {"properties": {"name": {"pattern": NAME}}},
                            "spec": {
                                "required": ["ratioMetric"],
                                "properties": {
                                    "ratioMetric": {
                                        "required": ["counter", "good", "total"],
                                        "properties": {"counter": {"const": True}, "good": _METRIC, "total": _METRIC},
                                    }
                                },
                            },
                        },
                    },
                    "timeWindow": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1,
                        "items": {
                            "required": ["duration", "isRolling"],
                            "properties": {"duration": {"pattern": "^[1-9][0-9]*[mhdwMQY]$"}},
                        },
                    },
                    "budgetingMethod": {"const": "Occurrences"},
                    "objectives": {
                        "type": "array",
                        "items": {
                            "required": ["target"],
                            "properties": {"target": {"type": "number", "minimum": 0, "exclusiveMaximum": 1}},
                        },
                    },
                },
            }
        }
    },
}
"""What the specification (openslo/v1) says in words of the documents that are written here."""


def test_every_document_is_as_the_specification_says() -> None:
    documents = list(yaml.safe_load_all(openslo(MANY)))
    assert [document["kind"] for document in documents] == ["Service", *["SLO"] * len(MANY)]
    for document in documents:
        Draft202012Validator(SCHEMA).validate(document)
    names = [document["metadata"]["name"] for document in documents[1:]]
    assert len(set(names)) == len(MANY)
    assert all(re.fullmatch(NAME, name) for name in names)


def test_the_queries_are_of_our_counters() -> None:
    document = list(yaml.safe_load_all(openslo([CHAT])))[1]
    ratio = document["spec"]["indicator"]["spec"]["ratioMetric"]
    assert ratio["good"]["metricSource"]["spec"]["query"] == 'sum(tidegate_slo_good_events_total{slo="chat"})'
    assert ratio["total"]["metricSource"]["spec"]["query"] == 'sum(tidegate_slo_events_total{slo="chat"})'


def test_all_of_it_is_read_back() -> None:
    found = read_openslo(openslo(MANY), "interactive")
    assert (found.problems, found.notes) == ([], [])
    assert [read(ServiceLevelObjective, entry) for entry in found.entries] == MANY
