"""Memory of cards, as DCGM's exporter writes it."""

import pytest

from proxy.engines.cards import used_b

MIB = 1 << 20
TEXT = b"""# HELP DCGM_FI_DEV_FB_FREE Framebuffer memory free (in MiB).
# TYPE DCGM_FI_DEV_FB_FREE gauge
DCGM_FI_DEV_FB_FREE{gpu="0",UUID="GPU-aa",device="nvidia0",modelName="NVIDIA H200",Hostname="n1"} 100
# HELP DCGM_FI_DEV_FB_USED Framebuffer memory used (in MiB).
# TYPE DCGM_FI_DEV_FB_USED gauge
DCGM_FI_DEV_FB_USED{gpu="0",UUID="GPU-aa",device="nvidia0",modelName="NVIDIA H200",Hostname="n1"} 70000
DCGM_FI_DEV_FB_USED{gpu="1",UUID="GPU-bb",device="nvidia1",modelName="NVIDIA H200",Hostname="n1"} 3
DCGM_FI_DEV_FB_USED_PERCENT{gpu="0",UUID="GPU-aa"} 0.9
"""


@pytest.mark.parametrize(
    ("gpus", "mib"),
    [((), 70_003), (("0",), 70_000), (("1",), 3), (("GPU-bb",), 3), (("0", "GPU-bb"), 70_003), (("0", "1"), 70_003)],
)
def test_the_cards_that_are_meant(gpus: tuple[str, ...], mib: int) -> None:
    assert used_b(TEXT, gpus) == mib * MIB


def test_slices_of_a_card_are_one_card() -> None:
    text = b'DCGM_FI_DEV_FB_USED{gpu="0",GPU_I_ID="1"} 5\nDCGM_FI_DEV_FB_USED{gpu="0",GPU_I_ID="2"} 7\n'
    assert used_b(text, ("0",)) == 12 * MIB


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        (b"", ()),
        (b"<html>", ()),
        (TEXT, ("2",)),
        (TEXT, ("0", "2")),
        (b'DCGM_FI_DEV_FB_USED{gpu="0"} NaN\n', ()),
        (b'DCGM_FI_DEV_FB_USED{gpu="0"} -4\n', ()),
        (b'DCGM_FI_DEV_FB_USED{gpu="0"} 1e30\n', ()),
    ],
)
def test_what_is_not_told_is_not_known(text: bytes, gpus: tuple[str, ...]) -> None:
    assert used_b(text, gpus) is None
