"""What an exporter of NVIDIA's (DCGM) says of the memory of cards.

Owns which series are read and which cards are meant. Whatever is not as expected reads as unknown.
"""

from collections.abc import Sequence
from typing import Final

from proxy.engines.load import MAX_MEMORY_B
from proxy.engines.prometheus import labels_of, samples

_USED: Final = b"DCGM_FI_DEV_FB_USED"
"""MiB of frame buffer, a series for each card; with MIG one for each slice of it."""
_MIB: Final = 1 << 20


def used_b(text: bytes, gpus: Sequence[str]) -> float | None:
    """Bytes taken on these cards, by index or UUID (none: on all); None: it does not tell of one of them."""
    found: set[str] = set()
    total = 0.0
    count = 0
    for sample in samples(text, _USED):
        labels = labels_of(sample)
        names = {labels.get(b"gpu", b"").decode("latin-1"), labels.get(b"UUID", b"").decode("latin-1")} - {""}
        if gpus and names.isdisjoint(gpus):
            continue
        found |= names
        total += sample.value * _MIB
        count += 1
    if not count or not found.issuperset(gpus) or total > MAX_MEMORY_B:
        return None
    return total
