"""What may stand in one report."""

from pathlib import Path

import pytest

from proxy.bench import rows
from proxy.bench.report.inputs import BadInputError, read_inputs
from tests.support.bench_runs import made_up_run


def test_a_folder_its_folders_or_a_csv_alone(tmp_path: Path) -> None:
    made_up_run(tmp_path / "warm", n=10)
    made_up_run(tmp_path / "cold", n=20, cache="cold")
    assert read_inputs([tmp_path]).n == 30
    assert read_inputs([tmp_path / "cold"]).n == 20
    alone = read_inputs([tmp_path / "warm" / rows.FILE])
    assert alone.n == 10
    assert alone.sources[0].run is None


def test_different_machines_only_where_asked_for_and_then_named(tmp_path: Path) -> None:
    folders = [made_up_run(tmp_path / name, n=10, hardware=name) for name in ("laptop", "H200")]
    with pytest.raises(BadInputError, match="different machines") as refused:
        read_inputs(folders)
    assert all(word in str(refused.value) for word in ("laptop", "H200", "--mixed"))
    mixed = read_inputs(folders, mixed=True)
    assert mixed.machines == ["H200", "laptop"]
    assert [one.label for one in mixed.series] == ["laptop", "H200"]


def test_one_run_over_two_kinds_of_cards_says_what_to_do(tmp_path: Path) -> None:
    path = made_up_run(tmp_path / "run", n=10, hardware="L4") / rows.FILE
    head, *lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([head, *lines[:5], *(line.replace(",L4,", ",A100,", 1) for line in lines[5:])]))
    with pytest.raises(BadInputError, match=r"the backends of .*: A100, L4 differ") as refused:
        read_inputs([path.parent])
    assert "--mixed" in str(refused.value)
    assert read_inputs([path.parent], mixed=True).machines == ["A100", "L4"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("requests.csv", "a,b\n1,2\n", "unknown column 'a'"),
        ("requests.csv", "", "is empty"),
        ("requests.csv", rows.HEADER, "no request"),
        ("other.txt", "", "is empty"),
    ],
)
def test_what_cannot_be_reported(tmp_path: Path, name: str, content: str, said: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(BadInputError, match=said):
        read_inputs([path])


def test_a_folder_without_a_run(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no run\.json"):
        read_inputs([tmp_path])
    with pytest.raises(BadInputError, match="no run"):
        read_inputs([tmp_path / "absent"])
