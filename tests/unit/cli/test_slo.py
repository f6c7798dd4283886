"""`tidegate slo`: rules and OpenSLO on standard output, what is wrong on standard error, and how a proxy stands."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from proxy.cli.main import main
from proxy.model.slos import ServiceLevelObjective
from proxy.obs.slo.book import SloBook
from tests.support.admin_port import AdminPort, admin_port
from tests.unit.obs.records import record

FILE = """\
version: 1
backends: [{url: http://127.0.0.1:8001}]
slos:
  - {name: chat, class: interactive, objective: 99.5%, ttft: 250ms}
  - {name: bulk, class: bulk, objective: 90%, window: 7d}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "routing.yaml"
    path.write_text(FILE)
    return path


def ran(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main(["slo", *map(str, arguments)])
    out, err = capsys.readouterr()
    return code, out, err


def test_rules(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ran(capsys, "rules", file)
    assert (code, err) == (0, "")
    assert [group["name"] for group in yaml.safe_load(out)["groups"]] == ["tidegate-slo-chat", "tidegate-slo-bulk"]


def test_openslo_and_back(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, written, _ = ran(capsys, "rules", file, "--format", "openslo")
    (tmp_path / "slo.yaml").write_text(written)
    code, out, err = ran(capsys, "import", tmp_path / "slo.yaml")
    assert (code, err) == (0, "")
    (tmp_path / "again.yaml").write_text(FILE.partition("slos:")[0] + out)
    assert ran(capsys, "rules", tmp_path / "again.yaml")[1] == ran(capsys, "rules", file)[1]


def test_what_is_lost_is_said_beside_what_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    foreign = {"apiVersion": "openslo/v1", "kind": "SLO", "metadata": {"name": "x"}}
    spec = {"indicatorRef": "y", "budgetingMethod": "Timeslices", "objectives": [{"target": 0.9}, {"target": 2}]}
    (tmp_path / "slo.yaml").write_text(yaml.safe_dump({**foreign, "spec": spec}))
    code, out, err = ran(capsys, "import", tmp_path / "slo.yaml", "--class", "bulk")
    assert code == 1
    assert yaml.safe_load(out)["slos"] == [{"name": "x", "class": "bulk", "objective": "90%", "window": "30d"}]
    assert "note: SLO 'x': counts time slices" in err
    assert "SLO 'x': objective must be a share below 100%" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("rules", "nowhere.yaml"), 1, "there is no such file"),
        (("import", "nowhere.yaml"), 1, "there is no such file"),
        (("import",), 2, "import needs the file"),
        (("status", "--admin", "http://127.0.0.1:1"), 1, "no proxy answers at http://127.0.0.1:1"),
        (("status", "nowhere.yaml"), 1, "there is no such file"),
        (("rules", "--format", "xml"), 2, "invalid choice"),
        (("burn",), 2, "invalid choice"),
    ],
)
def test_what_is_wrong(arguments: tuple[str, ...], code: int, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    told, out, err = ran(capsys, *arguments)
    assert (told, out) == (code, "")
    assert words in err


def test_a_configuration_without_objectives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.yaml").write_text(FILE.partition("slos:")[0])
    assert ran(capsys, "rules", tmp_path / "r.yaml")[0] == 1


@pytest.fixture
def admin() -> Iterator[AdminPort]:
    with admin_port() as port:
        yield port


def test_how_they_stand(admin: AdminPort, capsys: pytest.CaptureFixture[str]) -> None:
    slos = [
        ServiceLevelObjective(name="chat", class_="interactive", objective=0.99, e2e=1.0),
        ServiceLevelObjective(name="bulk", class_="bulk", objective=0.9),
    ]
    book = SloBook(slos)
    book.count(record(), 1e9)
    admin.answers = [(200, {"slos": book.shown(1e9)})]
    code, out, _ = ran(capsys, "status", "--admin", admin.url)
    assert (code, admin.asked) == (0, ["GET /slo"])
    head, chat, bulk = out.splitlines()
    assert head.split()[0] == "SLO"
    assert chat.split() == ["chat", "99", "%", "0", "%", "-9900", "%", "100", "now", "page"]
    assert bulk.split() == ["bulk", "90", "%", "no", "requests", "100", "%", "0", "never", "-"]
    _, as_json, _ = ran(capsys, "status", "--url", admin.url, "--json")
    assert json.loads(as_json)["slos"][0]["name"] == "chat"


@pytest.mark.parametrize("body", [b"", b"[]", b'{"slos": 7}', b"not json"])
def test_an_answer_that_is_none(admin: AdminPort, body: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answers = [(200, body)]
    code, _, err = ran(capsys, "status", "--admin", admin.url)
    assert code == 1
    assert "it is no Tidegate that answers at" in err


def test_a_proxy_without_objectives(admin: AdminPort, capsys: pytest.CaptureFixture[str]) -> None:
    admin.answers = [(200, {"slos": []})]
    assert ran(capsys, "status", "--admin", admin.url) == (0, "the proxy has no slos\n", "")
