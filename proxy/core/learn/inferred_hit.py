"""How much of a prompt an engine seems to have had in its cache, told by how long its prefill took.

For engines that do not tell it. An estimate: what the cost model does not know (a busy engine, a cold one) looks like
prompt that was computed, so it errs towards less.
"""

from math import sqrt
from typing import Final

from proxy.core.learn.cost_model import CostModel

_FLAT: Final = 1e-18
"""Seconds per square of a token; below, the cost is a straight line."""


def inferred_hit(model: CostModel, prompt: float, decoding: float, took_s: float) -> float:
    """Tokens of `prompt` that were in the cache, if its prefill beside so many decoding requests took `took_s`."""
    per_token = model.work_s(1.0, 0.0) + model.beside_s(1.0, decoding)
    per_square = model.work_s(0.0, 1.0)
    saved_s = model.base_s() + per_token * prompt + per_square * prompt * prompt - took_s
    if saved_s <= 0.0 or (per_token <= 0.0 and per_square <= _FLAT):
        return 0.0
    if per_square <= _FLAT:
        return min(prompt, saved_s / per_token)
    return min(prompt, (sqrt(per_token * per_token + 4.0 * per_square * saved_s) - per_token) / (2.0 * per_square))
