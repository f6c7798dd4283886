"""Plain scalars: YAML 1.2 core, and a refusal for each surprise of YAML 1.1."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.scalars import Surprise, resolve


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("8", 8),
        ("-3", -3),
        ("+7", 7),
        ("0x1F", 31),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("y", "y"),
        ("n", "n"),
        ("5s", "5s"),
        ("127.0.0.1:8080", "127.0.0.1:8080"),
        ("llama3:8b", "llama3:8b"),
        ("1.2.3", "1.2.3"),
        ("2024-01-01", "2024-01-01"),
        ("nullable", "nullable"),
    ],
)
def test_resolved(text: str, value: object) -> None:
    found = resolve(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("no", "No", "NO", "yes", "on", "22:22", "1:30:00", "08", "010", "-08", "1_000", "1_", "1.5_0"),
        *("0o17", "0b11", "-0x1F", "0x1_F", ".inf", "-.INF", ".nan", "9" * 31, "1e999"),
    ],
)
def test_surprise(text: str) -> None:
    assert isinstance(resolve(text), Surprise)


def test_the_hint_says_what_to_write() -> None:
    found = resolve("08")
    assert isinstance(found, Surprise)
    assert found.hint == 'write 8, or "08" for text'
    no = resolve("no")
    assert isinstance(no, Surprise)
    assert no.hint == 'write false, or "no" for the word'


@given(st.text("0123456789.:_-+eExXobinafNUL~truslyTR", max_size=8))
def test_what_is_accepted_means_the_same_to_yaml_1_1(text: str) -> None:
    """Apart from exponents and 1.1's timestamps, a value that passes is read alike by PyYAML, whose rules are 1.1's."""
    found = resolve(text)
    if isinstance(found, Surprise | float):
        return
    old = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))
    if isinstance(found, bool):
        assert old.endswith(":bool")
    elif isinstance(found, int):
        assert old.endswith(":int")
    elif found is None:
        assert old.endswith(":null")
    else:
        assert old.endswith((":str", ":timestamp")) or text.lower() == "off", (text, old)


def test_every_accepted_number_is_json() -> None:
    assert json.loads(json.dumps(resolve("9" * 30))) == int("9" * 30)
