"""The files in `deploy/` are what the modules say."""

import json
from pathlib import Path

import pytest

from proxy.obs import dashboards
from proxy.obs.dashboards import files, main


def test_the_files_are_up_to_date() -> None:
    assert main(["--check"]) == 0


def test_a_file_that_is_out_of_date_is_said_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dashboards, "FOLDER", tmp_path)
    (tmp_path / "grafana" / "dashboards").mkdir(parents=True)
    assert main(["--check"]) == 1
    assert capsys.readouterr().out.count("out of date") == len(list(files()))
    assert main([]) == 0
    assert main(["--check"]) == 0
    (tmp_path / "alerts.yml").write_text("groups: []\n")
    assert main(["--check"]) == 1
    assert capsys.readouterr().out.count("deploy/alerts.yml is out of date") == 1


def test_all_of_them_are_there() -> None:
    texts = dict(files())
    assert [json.loads(text)["uid"] for name, text in texts.items() if name.endswith(".json")] == [
        "tidegate",
        "tidegate-scheduler",
        "tidegate-backends",
        "tidegate-usage",
        "tidegate-proxy",
    ]
    assert texts["alerts.yml"].startswith("# Written by")
