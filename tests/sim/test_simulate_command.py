"""`tidegate simulate`, as a person runs it."""

import csv
import json
from pathlib import Path

import pytest

from proxy.cli.main import main

TRACE = [
    {"timestamp": 150 * i, "input_length": 600 + 7 * i, "output_length": 5 + i % 9, "hash_ids": [i % 5, 100 + i]}
    for i in range(240)
]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in TRACE))
    return path


def test_a_trace_two_policies_and_the_upper_mark(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = [
        "--engines",
        "3xmooncake16",
        "--compare",
        "round_robin,greedy_informed",
        "--seeds",
        "2",
        "--out",
        str(out),
    ]
    assert main(["simulate", "--trace", str(trace), *arguments]) == 0
    shown = capsys.readouterr()
    assert "goodput - round_robin" in shown.out
    assert "240 requests" in shown.err
    assert "not recorded: models, tenants, classes" in shown.err
    document = json.loads((out / "report.json").read_text())
    assert [(run["contender"], run["seed"]) for run in document["runs"]] == [
        (name, seed) for name in ("goodput", "round_robin", "greedy_informed") for seed in (1, 2)
    ]
    for run in document["runs"]:
        total = run["total"]
        assert total["requests"] == 240
        assert total["served"] + total["refused"] + total["failed"] + total["cancelled"] == 240
        assert sum(load["requests"] for load in run["backends"].values()) == total["served"]
    assert len(document["differences"]["requests"]) == 2
    rows = list(csv.DictReader((out / "groups.csv").read_text().splitlines()))
    assert {row["by"] for row in rows} == {"all", "class", "size", "tenant"}
    assert (out / "backends.csv").read_text().count("\n") == 1 + 6 * 3
    assert (out / "refusals.csv").exists()


def test_the_same_command_says_the_same(trace: Path, tmp_path: Path) -> None:
    reports = []
    for name in ("a", "b"):
        out = tmp_path / name
        main(["simulate", "--trace", str(trace), "--engines", "2xmooncake16", "--speed", "3", "--out", str(out)])
        document = json.loads((out / "report.json").read_text())
        document["setting"] = None
        for run in document["runs"]:
            run["simulated_requests_per_s"] = None
        reports.append(document)
    assert reports[0] == reports[1]


def test_a_configuration_and_another_to_compare_with(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, other = tmp_path / "ours.yaml", tmp_path / "other.yaml"
    ours.write_text("version: 1\nbackends: [{url: 'http://h:1', name: a}, {url: 'http://h:2', name: b}]\n")
    other.write_text(ours.read_text() + "routing: {policy: round_robin}\n")
    engines = tmp_path / "engines.yaml"
    engines.write_text("engines:\n  - {backend: b, slower: 3}\n")
    arguments = [str(ours), "--trace", str(trace), "--engines", str(engines), "--compare", str(other)]
    assert main(["simulate", *arguments]) == 0
    assert f"goodput - {other}" in capsys.readouterr().out


def test_made_up_traffic_by_class_and_tenant(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--workload", "tenants", "--rate", "4", "--duration", "20s", "--engines", "2xlow_latency"]
    assert main(["simulate", *arguments, "--slo", "interactive:ttft=1s;bulk:none"]) == 0
    out = capsys.readouterr().out
    assert all(word in out for word in ("interactive", "bulk", "tenant-4", "4k-16k"))


def test_a_broken_line_stops_or_is_left_out(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = trace.read_text().splitlines()
    lines[6] = "oops"
    trace.write_text("\n".join(lines))
    assert main(["simulate", "--trace", str(trace)]) == 1
    assert "trace.jsonl:7: not a JSON object" in capsys.readouterr().err
    assert main(["simulate", "--trace", str(trace), "--skip-broken", "--limit", "50"]) == 0
    assert "trace.jsonl:7: left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--policy", "godput"], "policy"),
        (["--policy", "goodput/duty=2"], "duty"),
        (["--policy", "goodput/admission.duty=2"], "admission.duty"),
        (["--compare", "missing.yaml"], "missing.yaml"),
        (["--engines", "3xnothing"], "preset 'nothing' is unknown"),
        (["nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_what_cannot_be_played_is_said(
    trace: Path, arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "--trace", str(trace), *arguments]) == 1
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["--slo", "soon"], ["--speed", "0"], ["--seeds", "0"], ["--limit", "x"], ["--jitter", "3"], []]
)
def test_wrong_usage(trace: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    traffic = ["--trace", str(trace)] if arguments else []
    assert main(["simulate", *traffic, *arguments]) == 2
    assert "usage" in capsys.readouterr().err


def test_an_unwritable_directory(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["simulate", "--trace", str(trace), "--limit", "5", "--out", str(tmp_path / "file" / "x")]) == 1
    assert "cannot write" in capsys.readouterr().err
