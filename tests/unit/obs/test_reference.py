"""`deploy/METRICS.md` is what the metrics say, and says all of them."""

from pathlib import Path

import pytest

from proxy.obs import reference
from proxy.obs.reference import LABELS, document, example, labels_of, main


def test_the_file_is_up_to_date() -> None:
    assert main(["--check"]) == 0


def test_a_file_that_is_out_of_date_is_said_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reference, "FILE", tmp_path / "METRICS.md")
    assert main(["--check"]) == 1
    assert "out of date" in capsys.readouterr().out
    assert main([]) == 0
    assert (tmp_path / "METRICS.md").read_text() == document()
    assert main(["--check"]) == 0


def test_every_metric_has_its_row_and_every_label_its_line() -> None:
    text = document()
    families = [family for _, some in example().sections() for family in some]
    assert len({family.name for family in families}) == len(families)
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert text.count(f"| `{name}` | {family.type} |") == 1
        assert family.documentation.endswith(".") or not family.name.startswith("tidegate_")
    used = {label for family in families if family.name.startswith("tidegate_") for label in labels_of(family)}
    assert used == set(LABELS)
