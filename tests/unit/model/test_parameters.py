"""Fields that the operator changes: what can be said."""

import pytest
from pydantic import ValidationError

from proxy.config.plain import read
from proxy.model.parameters import ParameterSettings


def test_nothing_said_changes_nothing() -> None:
    assert not ParameterSettings()
    assert not read(ParameterSettings, {})


@pytest.mark.parametrize("written", [{"set": {"top_k": 20}}, {"default": {"a": None}}, {"drop": ["seed"]}])
def test_anything_said_does(written: dict[str, object]) -> None:
    assert read(ParameterSettings, written)


@pytest.mark.parametrize("name", ["", "a b", "1st", "a" * 65, "zé", 'a"'])
def test_a_name_that_no_engine_has_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        read(ParameterSettings, {"drop": [name]})
    with pytest.raises(ValidationError):
        read(ParameterSettings, {"set": {name: 1}})
