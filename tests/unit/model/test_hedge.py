"""How a hedge is written."""

import pytest
from pydantic import ValidationError

from proxy.config.plain import as_written, read
from proxy.model.classes import ClassSettings
from proxy.model.hedge import Hedge, HedgeSettings


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("p95", Hedge(0.95, 0.0, 0.05)),
        ("300ms", Hedge(0.0, 0.3, 0.05)),
        ({"after": "p99", "budget": "2.5%"}, Hedge(0.99, 0.0, 0.025)),
        ({"after": "2s", "budget": 0.1}, Hedge(0.0, 2.0, 0.1)),
        ("off", None),
        ({"budget": "3%"}, None),
    ],
)
def test_what_is_written_is_meant(written, rule):
    assert read(ClassSettings, {"name": "a", "hedge": written}).hedge.rule() == rule


def test_classes_do_not_hedge_unless_told():
    assert ClassSettings(name="a").hedge.rule() is None


@pytest.mark.parametrize(
    "wrong",
    [
        *({"after": after} for after in ("p94", "0", "0ms", "-1s", "soon", 3, None, True, "")),
        *({"after": "p95", "budget": budget} for budget in ("0%", "51%", "5", "%", "-1%", "5 %", 0, 0.6, "1e1%")),
        {"after": "p95", "extra": 1},
    ],
)
def test_anything_else_is_refused(wrong):
    with pytest.raises(ValidationError):
        read(HedgeSettings, wrong)


def test_what_was_read_can_be_written_again():
    settings = HedgeSettings(after="300ms", budget=0.05)
    assert as_written(settings) == {"after": "300ms", "budget": "5%"}
