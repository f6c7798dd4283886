"""Which lines a name or pattern means, and which patterns are refused."""

import time

import pytest

from proxy.model.line_pattern import LOOKED_AT, line_pattern


@pytest.mark.parametrize(
    ("text", "line", "fits"),
    [
        ("x-anthropic-billing-header", "x-anthropic-billing-header: cc=1; cch=2", True),
        ("x-anthropic-billing-header", "X-Anthropic-Billing-Header : cc=1", True),
        ("billing", "x-anthropic-billing-header: cc=1", True),
        ("Date", "  date=2026", True),
        ("Date", "Dates: 2026", False),
        ("Date", "The Date: 2026", False),
        (r"^Current time: .*$", "Current time: 10:00", True),
        (r"^Current time: .*$", "The Current time: 10:00", False),
        (r"^\[(?:req|run)-[0-9a-f]+\].*", "[run-0af] go", True),
        (r"^\d{4}-\d{2}-\d{2}T", "2026-11-28T10:00", True),
        (r"^Request \d+ of .*", "Request 17 of today", True),
        (r"^price: \$.*", "price: $5", True),
    ],
)
def test_what_fits(text: str, line: str, fits: bool) -> None:
    assert (line_pattern(text).match(line) is not None) is fits


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "begins with ^"),
        (" ", "begins with ^"),
        (".*", "begins with ^"),
        ("two words", "begins with ^"),
        ("^", "ordinary lines"),
        ("^.*", "ordinary lines"),
        ("^.*$", "ordinary lines"),
        ("^.+", "ordinary lines"),
        (r"^\s*", "ordinary lines"),
        ("^$", "ordinary lines"),
        ("^[A-Z]", "ordinary lines"),
        ("^[^a]", "ordinary lines"),
        (r"^\S", "ordinary lines"),
        ("^.{20}", "ordinary lines"),
        ("^- ", "ordinary lines"),
        ("^#", "ordinary lines"),
        (r"^(a+)+$", "repeat a group"),
        (r"^(?:a|a)*b", "repeat a group"),
        (r"^(a*)*b", "repeat a group"),
        (r"^a*a*b.*", "one repetition"),
        (r"^x.*y.*z", "one repetition"),
        (r"^" + "a?" * 30 + "a" * 30, "ways"),
        (r"^" + "(?:a|b)" * 30, "ways"),
        (r"^a{1,60}b{1,60}c", "ways"),
        (r"^a{1,9999999999999999999}", "64 times"),
        (r"^a{3}{2}", "repeat a group"),
        (r"^(?=a)b", "look around"),
        (r"^(?!x).*", "look around"),
        (r"^(?i:abc)", "look around"),
        (r"^(?P<n>abc)", "look around"),
        (r"^(abc)\1", "refer back"),
        (r"^abc|.*", "into a group"),
        (r"^abc(", "is not a pattern"),
        (r"^abc[", "is not a pattern"),
        (r"^abc" + "d" * 300, "longer than"),
    ],
)
def test_what_is_refused_and_why(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("^", r"\^")):
        line_pattern(text)


@pytest.mark.parametrize(
    "text", [r"^a*(?:a|aa)(?:a|aa)(?:a|aa)a?b", r"^\w+x{0,9}y.*$", r"^a+\d{1,9}(?:x|y)z", r"^.*cch=1 .*$"]
)
def test_the_worst_line_takes_no_time(text: str) -> None:
    pattern = line_pattern(text)
    start = time.process_time()
    for line in ("a" * LOOKED_AT, "ax" * LOOKED_AT, "1" * LOOKED_AT, "cch=" * LOOKED_AT):
        for _ in range(10):
            pattern.match(line, 0, LOOKED_AT)
    assert time.process_time() - start < 0.5
