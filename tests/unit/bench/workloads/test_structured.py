"""Structured answers: what is asked for, and when an answer is not as it must be."""

from proxy.bench.workloads.structured import SCHEMA, Structured, why_invalid


def test_the_schema_is_asked_for() -> None:
    (ask,) = Structured().session(1, 0).asks
    assert ask.fields["response_format"]["json_schema"]["schema"] == SCHEMA
    assert ask.check is why_invalid


def test_answers() -> None:
    assert why_invalid('{"title": "a", "priority": "low", "hours": 2, "tags": []}') == ""
    assert why_invalid("Sure! {") == "the answer is no JSON"
    assert "'urgent' is not one of" in why_invalid('{"title": "a", "priority": "urgent", "hours": 2, "tags": []}')
    assert "is a required property" in why_invalid('{"title": "a"}')
