"""Options made of plain settings: nothing is said twice, and nothing that is said is lost."""

from collections.abc import Iterator
from dataclasses import FrozenInstanceError, dataclass, fields, is_dataclass
from typing import Annotated, Any, get_args

import pytest
from pydantic import ValidationError

from proxy.config.options import all_options
from proxy.config.plain import as_written, options_of, read
from proxy.config.schema import Config, RoutingSettings
from proxy.model.bounds import Bounds, Count, Duration, Form, Size
from proxy.model.classes import ClassSettings, SloSettings
from proxy.model.hedge import HedgeSettings
from proxy.model.kv_cache import KvCacheSettings
from proxy.model.limits import Limits
from proxy.model.rules import RuleSettings
from proxy.model.scheduling import DispatchSettings, SchedulingSettings

CONFIG = Config.model_validate({"version": 1, "backends": [{"url": "http://a"}]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """Inside."""

    wait: Duration = 0.5
    """How long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    """A group."""

    count: Count
    """How many."""
    class_: Annotated[str, Bounds(pattern="^[a-z]+$", max_length=3)] | None = None
    """Python has the word."""
    sizes: Annotated[tuple[Size, ...], Bounds(max_length=2)] = ()
    """In bytes."""
    inner: Inner = Inner()
    """Another group."""


def _marks(annotation: Any) -> Iterator[object]:
    for part in get_args(annotation):
        yield part
        yield from _marks(part)


def test_what_is_read_is_plain_all_the_way_down() -> None:
    made = read(Outer, {"count": 2, "class": "ab", "sizes": ["1KiB", 0], "inner": {"wait": "2s"}})
    assert made == Outer(count=2, class_="ab", sizes=(1024, 0), inner=Inner(wait=2.0))
    assert type(made) is Outer
    with pytest.raises(FrozenInstanceError):
        made.count = 3  # type: ignore[misc]


def test_what_was_read_can_be_written_again() -> None:
    made = Outer(count=1, inner=Inner(wait=0.25))
    assert as_written(made)["inner"] == {"wait": "250ms"}
    assert as_written(made)["class_"] is None


@pytest.mark.parametrize(
    ("written", "where", "error"),
    [
        ({}, ("count",), "missing"),
        ({"count": 0}, ("count",), "greater_than_equal"),
        ({"count": 1, "class": "a1"}, ("class",), "string_pattern_mismatch"),
        ({"count": 1, "class": "abcd"}, ("class",), "string_too_long"),
        ({"count": 1, "class_": "a"}, ("class_",), "extra_forbidden"),
        ({"count": 1, "sizes": [1]}, ("sizes", 0), "value_error"),
        ({"count": 1, "sizes": [0, 0, 0]}, ("sizes",), "too_long"),
        ({"count": 1, "inner": {"wiat": "1s"}}, ("inner", "wiat"), "extra_forbidden"),
        ({"count": 1, "inner": 3}, ("inner",), "model_type"),
    ],
)
def test_what_is_wrong_is_said_of_the_option(written: dict[str, Any], where: tuple[str, ...], error: str) -> None:
    with pytest.raises(ValidationError) as caught:
        read(Outer, written)
    (found,) = caught.value.errors()
    assert (found["loc"], found["type"]) == (where, error)


def test_numbers_that_do_not_go_together_are_the_groups_fault() -> None:
    with pytest.raises(ValidationError) as caught:
        read(KvCacheSettings, {"layers": 1, "kv_heads": 3, "head_dim": 8, "memory": "1GiB", "tensor_parallel": 2})
    (found,) = caught.value.errors()
    assert found["loc"] == ()
    assert "cannot be shared" in found["msg"]


def test_docstrings_and_defaults_are_those_of_the_settings() -> None:
    options = options_of(Outer).model_fields
    assert [(name, field.description) for name, field in options.items()] == [
        ("count", "How many."),
        ("class_", "Python has the word."),
        ("sizes", "In bytes."),
        ("inner", "Another group."),
    ]
    assert options_of(Outer).__doc__ == "A group."
    assert options["inner"].default == Inner()
    assert options["count"].is_required()


def test_a_subclass_has_the_options_of_both_and_its_own_words() -> None:
    routing, scheduling = options_of(RoutingSettings).model_fields, options_of(DispatchSettings).model_fields
    assert list(routing)[: len(scheduling)] == list(scheduling)
    assert routing["backfill"].description == scheduling["backfill"].description
    assert routing["policy"].description != scheduling["policy"].description


def test_no_mark_of_the_whole_configuration_is_left_unread() -> None:
    for option in all_options(Config):
        for mark in (*option.field.metadata, *_marks(option.field.annotation)):
            assert not isinstance(mark, Bounds | Form), option.path


@pytest.mark.parametrize("settings", [Limits(), SchedulingSettings(), ClassSettings(name="a"), RuleSettings()])
def test_every_default_is_one_that_can_be_written(settings: Any) -> None:
    written = {name.rstrip("_"): value for name, value in as_written(settings).items()}
    assert read(type(settings), written) == settings


def test_a_short_form_stands_for_a_group() -> None:
    made = read(ClassSettings, {"name": "a", "slo": "chatbot", "hedge": "p95"})
    assert (made.slo, made.hedge) == (SloSettings(preset="chatbot"), HedgeSettings(after="p95"))


def test_the_groups_of_a_configuration_are_plain() -> None:
    groups = [CONFIG.limits, CONFIG.routing, CONFIG.hold, CONFIG.health, CONFIG.retries, CONFIG.drain]
    assert all(is_dataclass(group) for group in groups)
    scheduling = CONFIG.scheduling()
    assert type(scheduling) is SchedulingSettings
    assert all(getattr(scheduling, f.name) == getattr(CONFIG.routing, f.name) for f in fields(DispatchSettings))
    assert scheduling.tenants == CONFIG.tenants
