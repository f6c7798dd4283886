"""The text format of metrics: series by name, labels with anything in them, values that are none."""

import pytest

from proxy.engines.prometheus import labels_of, mean, number, samples, total

TEXT = b"""# HELP a:b Something.
a:b{x="1",y="} 9 \\"{"} 3.0
a:b{x="2"} 5
a:b_created{x="2"} 99
c 7\r
"""


def test_series_of_one_name() -> None:
    assert [sample.value for sample in samples(TEXT, b"a:b")] == [3, 5]
    assert labels_of(samples(TEXT, b"a:b")[0]) == {b"x": b"1", b"y": b'} 9 \\"{'}
    assert labels_of(samples(TEXT, b"c")[0]) == {}


def test_over_all_series_of_the_first_name_that_is_there() -> None:
    assert total(TEXT, b"none", b"a:b", b"c") == 8
    assert mean(TEXT, b"none", b"a:b", b"c") == 4
    assert total(TEXT, b"none") is mean(TEXT, b"none") is None


@pytest.mark.parametrize("text", [b"NaN", b"inf", b"-1", b"1_0", b"", b"x"])
def test_not_a_number(text: bytes) -> None:
    assert number(text) is None
