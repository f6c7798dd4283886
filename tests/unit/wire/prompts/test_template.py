"""Texts with variables: what is one, what is filled in, and that a value is text whatever it holds."""

import pytest

from proxy.model.faults import FaultError
from proxy.wire.prompts.template import MOST_B, Example, Template, in_order, text_with_variables


def template(system: str, *examples: str, stable_first: bool = True) -> Template:
    shown = [Example("user", text_with_variables(text)) for text in examples]
    return Template("support", "3", in_order(system, stable_first=stable_first), shown)


@pytest.mark.parametrize(
    ("written", "pieces"),
    [
        ("a {{x}} b {{ y_1 }}", ("a ", "x", " b ", "y_1", "")),
        ("{{x}}{{x}}", ("", "x", "", "x", "")),
        ("no }} and { and {x}", ("no }} and { and {x}",)),
        (r"\{{x}} {{x}}", ("{{x}} ", "x", "")),
        ("", ("",)),
    ],
)
def test_what_is_a_variable(written: str, pieces: tuple[str, ...]) -> None:
    assert text_with_variables(written).pieces == pieces


@pytest.mark.parametrize(
    "written", ["{{", "{{}}", "{{ 1x }}", "{{x y}}", "{{x.y}}", "a\n{{>f}}", "{{x", "{{{x}}}", "{{#if}}"]
)
def test_other_braces_are_refused_with_their_line(written: str) -> None:
    with pytest.raises(ValueError, match=f"line {1 + written.count(chr(10))}: "):
        text_with_variables(written)


def test_a_value_is_text_whatever_it_holds() -> None:
    values = {"a": "{{b}}", "b": r"\{{a}} {{>x}}", "n": 1.5, "t": True, "p": {"type": "input_text", "text": "part"}}
    filled = template("{{a}}|{{b}}|{{n}}|{{t}}|{{p}}", "hi {{a}}").filled(values)
    assert filled.system == r"{{b}}|\{{a}} {{>x}}|1.5|true|part"
    assert filled.messages == [{"role": "user", "content": "hi {{b}}"}]


@pytest.mark.parametrize("given", [{}, {"city": None}, {"city": ["x"]}, {"city": {"url": "x"}}, {"City": "x"}])
def test_what_is_missing_or_no_text_is_named(given: dict[str, object]) -> None:
    with pytest.raises(FaultError) as raised:
        template("in {{city}}").filled(given)
    assert raised.value.fault.param == "prompt.variables.city"
    assert "support@3" in raised.value.fault.message
    assert "`city`" in raised.value.fault.message


def test_size_is_bounded_before_anything_is_built() -> None:
    with pytest.raises(FaultError, match="longer than"):
        template("{{x}}" * 1000).filled({"x": "y" * (MOST_B // 999)})


def test_what_is_stable_comes_first() -> None:
    written = "For {{shop}}.\n\nRules:\n- one\n\n{{ date }}\n \nEnd."
    told = {"shop": "Acme", "date": "today"}
    assert template(written).filled(told).system == "Rules:\n- one\n\nEnd.\n\nFor Acme.\n\ntoday"
    assert template(written).stable().system == "Rules:\n- one\n\nEnd.\n\nFor "
    assert template(written, stable_first=False).filled(told).system == "For Acme.\n\nRules:\n- one\n\ntoday\n \nEnd."
    assert template("fixed", "a", "b {{x}}", "c").stable().messages == [{"role": "user", "content": "a"}]
    assert template("{{x}}", "a").stable().messages == []
