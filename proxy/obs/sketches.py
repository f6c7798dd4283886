"""What was counted for percentiles, as sketches of the library: to add up those of several proxies."""

from collections.abc import Mapping

from ddsketch import DDSketch

from proxy.obs.percentiles import ACCURACY, value_of


def sketch_of(bins: Mapping[int, int]) -> DDSketch:
    """A sketch that holds these bins; `merge` adds another one to it."""
    sketch = DDSketch(ACCURACY)
    for number, count in bins.items():
        sketch.add(value_of(number), count)
    return sketch
