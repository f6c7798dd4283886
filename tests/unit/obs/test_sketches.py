"""Counted bins as sketches of the library."""

import pytest

from proxy.obs.percentiles import bin_of
from proxy.obs.sketches import sketch_of


def test_a_sketch_holds_what_was_counted() -> None:
    sketch = sketch_of({bin_of(0.1): 98, bin_of(2.0): 2})
    assert sketch.count == 100
    assert sketch.get_quantile_value(0.5) == pytest.approx(0.1, rel=0.005)
    assert sketch.get_quantile_value(0.99) == pytest.approx(2.0, rel=0.005)


def test_nothing_counted_is_an_empty_sketch() -> None:
    assert sketch_of({}).get_quantile_value(0.5) is None
