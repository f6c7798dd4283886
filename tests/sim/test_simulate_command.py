"""`tidegate simulate`, as a person runs it."""

import csv
import gzip
import json
import sys
from pathlib import Path
from xml.etree import ElementTree

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


FILE = "version: 1\nbackends:\n  - {url: 'http://h:1', name: a, models: [%s]}\n  - {url: 'http://h:2', models: [%s]}\n"


def test_models_of_the_file_are_asked_for(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "ours.yaml", tmp_path / "out"
    file.write_text(FILE % ("llama", "qwen"))
    assert main(["simulate", str(file), "--trace", str(trace), "--out", str(out)]) == 0
    shown = capsys.readouterr().out
    assert f"engines: mooncake16 behind each of the 2 backends of {file}" in shown
    document = json.loads((out / "report.json").read_text())
    assert all(load["requests"] > 20 for load in document["runs"][0]["backends"].values())
    assert document["runs"][0]["total"]["served"] == 240
    assert document["setting"]["models"] == {"llama": 1.0, "qwen": 1.0}


def test_the_engines_are_said_as_they_are(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, engines = tmp_path / "ours.yaml", tmp_path / "engines.yaml"
    file.write_text(FILE % ("llama", "llama"))
    engines.write_text("engines: [{backend: a, slower: 2}]\n")
    for arguments, said in (
        ([str(file), "--engines", "2xlow_latency"], f"2xlow_latency, in place of the 2 backends of {file}"),
        ([str(file), "--engines", str(engines)], f"{engines}, behind the backends of {file}"),
        ([], "16xmooncake16 (the default)"),
    ):
        assert main(["simulate", *arguments, "--trace", str(trace), "--limit", "20"]) == 0
        assert f"engines: {said}\n" in capsys.readouterr().out


def test_when_nothing_can_be_served_it_says_so(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "ours.yaml"
    file.write_text(FILE % ("llama", "qwen"))
    arguments = ["simulate", "--trace", str(trace), "--limit", "30"]
    assert main([*arguments, str(file), "--models", "lama"]) == 1
    error = capsys.readouterr().err
    assert "nothing can be served: the traffic asks for lama, and the backends serve llama, qwen" in error
    assert main([*arguments, str(file), "--models", "llama,lama=0.2"]) == 0
    assert "the traffic asks for lama, and" in capsys.readouterr().err
    assert main([*arguments, "--engines", "1xmooncake16:outage at 0s"]) == 1
    assert "nothing was served, whoever decided" in capsys.readouterr().err


def test_a_trace_of_everything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, object]] = [{"tidegate_trace": 1, "block_tokens": 64}]
    for n in range(200):
        row = {"at": n / 10, "prompt_tokens": 700, "output_tokens": 5, "prefix": [n % 3, 10 + n % 3]}
        rows.append(row | {"tenant": "ab"[n % 2], "class": ("interactive", "bulk")[n % 2], "ttft_s": 1.0})
    path, out = tmp_path / "full.jsonl.gz", tmp_path / "out"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    arguments = ["simulate", "--trace", str(path), "--engines", "2xmooncake16", "--out", str(out), "--interval", "5s"]
    assert main(arguments) == 0
    assert "full.jsonl.gz: tidegate trace, 200 requests, 20 s" in capsys.readouterr().err
    [run] = json.loads((out / "report.json").read_text())["runs"]
    assert (set(run["by_tenant"]), set(run["by_class"])) == ({"a", "b"}, {"interactive", "bulk"})
    assert run["hit_rate"] > 0.1
    rows_out = list(csv.DictReader((out / "intervals.csv").read_text().splitlines()))
    assert [row["requests"] for row in rows_out if row["class"] == "all"] == ["50"] * 4
    assert {row["class"] for row in rows_out} == {"all", "interactive", "bulk"}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--engines", "2xmooncake16:outage at 900s for 5s"], "'outage at 15m for 5s' begins after or outlasts"),
        (["--engines", "2xmooncake16:outage at 5s for 900s"], "outlasts the traffic, which ends at 35.9 s"),
        (["--engines", "2xmooncake16:noise 500%"], "noise must be between 0 and 100 %"),
        (["--engines", "mooncake16:outage at 1s for 9s,outage at 3s"], "overlap"),
        (["--slo", "chatt:ttft=1s"], "no class is named 'chatt'; there are "),
    ],
)
def test_what_would_be_played_for_nothing_is_said(
    trace: Path, arguments: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", "--trace", str(trace), *arguments]) == 1
    assert why in capsys.readouterr().err


def test_false_refusals_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "t.jsonl"
    row = {"timestamp": 0, "input_length": 3000, "output_length": 60}
    path.write_text("".join(json.dumps(row | {"timestamp": 40 * n}) + "\n" for n in range(500)))
    arguments = ["--policy", "goodput/admission.mode=enforce/admission.ttft_margin=4", "--compare", "greedy_informed"]
    assert main(["simulate", "--trace", str(path), "--engines", "2xmooncake16", *arguments]) == 0
    assert "points of requests falsely refused" in capsys.readouterr().out


def test_a_sweep_is_a_line_for_each_value(trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    arguments = ["--engines", "1xmooncake16:kind=static", "--speed", "3", "--out", str(out)]
    assert main(["simulate", "--trace", str(trace), *arguments, "--sweep", "window.max_wait=0,20,50ms"]) == 0
    head, *lines = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert head[0] == "window.max_wait"
    assert [line[0] for line in lines] == ["0", "20", "50ms"]
    rows = list(csv.DictReader((out / "sweep.csv").read_text().splitlines()))
    assert [row["window.max_wait"] for row in rows] == ["0", "20", "50ms"]
    assert rows[0] != rows[1] | {"window.max_wait": "0"}, "windows change something"
    chart = ElementTree.parse(out / "sweep.svg").getroot()
    words = {text.text for text in chart.iter("{http://www.w3.org/2000/svg}text")}
    assert {"window.max_wait", "TTFT, ms", "TTFT P50", "TTFT P99", "goodput", "0", "20", "50ms"} <= words


def test_without_its_library_a_sweep_has_a_table_and_says_what_is_missing(
    trace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    arguments = ["--engines", "1xmooncake16", "--out", str(tmp_path), "--sweep", "explore=0,0.1"]
    assert main(["simulate", "--trace", str(trace), *arguments]) == 0
    assert "matplotlib is not installed" in capsys.readouterr().err
    assert (tmp_path / "sweep.csv").is_file()
    assert not (tmp_path / "sweep.svg").exists()


def test_any_option_of_a_policy_can_be_swept(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--trace", str(trace), "--engines", "1xmooncake16", "--sweep", "explore=0,0.1"]) == 0
    assert "explore" in capsys.readouterr().out


@pytest.mark.parametrize("sweep", ["window.max_wait", "window.max_wait=x", "window.max_wait=1,,2", "=1", "nothing=1"])
def test_what_cannot_be_swept(trace: Path, sweep: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--trace", str(trace), "--sweep", sweep]) == 1
    assert "tidegate simulate:" in capsys.readouterr().err
