"""The modelled costs are those that were published."""

import pytest

from proxy.sim.engine.arrays import TEI_L4


@pytest.mark.parametrize(("inputs", "texts_per_s", "p50_s"), [(8, 2080, 0.030), (32, 1904, 0.140)])
def test_figures_of_one_l4(inputs: int, texts_per_s: float, p50_s: float) -> None:
    assert inputs / TEI_L4.seconds(inputs) == pytest.approx(texts_per_s, rel=0.02)
    assert 8 * TEI_L4.seconds(inputs) == pytest.approx(p50_s, rel=0.06)
