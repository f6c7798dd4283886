"""What is believed of an engine that says nothing of itself."""

from dataclasses import fields

from proxy.engines.base import ASKED_FOR_USAGE, Dialect
from proxy.model.abilities import PLAIN
from proxy.model.endpoint import Endpoint


def test_by_default_nothing_is_taken_for_granted() -> None:
    silent = Dialect("silent")
    assert silent.traits == PLAIN
    said = {field.name for field in fields(silent) if getattr(silent, field.name)}
    assert said == {"kind", "models_at", "selectable", "says_done", "traits"}


def test_openais_api_is_asked_for_usage_where_it_has_stream_options() -> None:
    assert {Endpoint.CHAT, Endpoint.COMPLETIONS} == ASKED_FOR_USAGE
