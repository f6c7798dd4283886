"""The lines about the proxy as a whole."""

from typing import Any

from proxy.report.screen.head import Link, config, figures, kept, title, waiting
from proxy.report.screen.section import Section
from proxy.report.screen.watched import Watched
from tests.unit.report.screen.documents import lane, status


def text(section: Section) -> str:
    return "\n".join(line.plain for line in section.lines(section.wanted))


def test_a_clock_that_went_back_makes_no_negative_age() -> None:
    assert "up 0 ms" in text(title(status(started_at=1_795_966_999.0), Link(), 120))
    assert "up 10 min" in text(title(status(), Link(), 120))


def test_why_it_is_not_ready() -> None:
    assert "not ready: draining" in text(title(status(not_ready="draining"), Link("live"), 80))


def test_figures_are_sums_over_classes() -> None:
    watched = Watched()
    watched.take("status", status())
    shown = text(figures(watched, 120, charts=True)).splitlines()[1].split()
    assert shown[:5] == ["122", "of", "245", "tok/s", "▇"]
    assert shown[5:] == ["5.0", "8", "2,", "1", "bulk", "74.1", "%", "1", "46"]


def test_what_is_kept_is_of_those_who_promise() -> None:
    assert kept(status()["classes"]) == 20 / 27
    assert kept({"a": lane(promise={}, ended={"kept": 1, "failed": 1})}) == 0.5
    assert kept({"a": lane(ended={})}) is None


def test_what_waits_and_what_is_kept_of_answers() -> None:
    shown = text(waiting(status(), 200))
    assert "2 held · 1 bulk · 2 in windows · longest 1.25 s · 92.8 KiB of bodies" in shown
    assert "12 answers · 1.0 MiB of 256.0 MiB" in shown
    assert "no answers are kept" in text(waiting(status(cache=None), 80))


def told(**attempt: Any) -> dict[str, Any]:
    made = status()
    made["config"]["last_attempt"] = {"trigger": "sighup", "at": 0, "successful": True, "errors": [], **attempt}
    made["config"]["reloads"] = {"sighup:ok": 2, "file:error": 1}
    made["config"]["restart_needed"] = ["listen: a → b"]
    return made


def test_a_reload_that_failed_is_told_with_its_reasons() -> None:
    failed = config(told(successful=False, errors=["line 3: nonsense", "line 4: more"]), 120)
    shown = text(failed)
    assert "routing.yaml · 0123456789ab" in shown
    assert "3 reloads · last by sighup at" in shown
    assert "last reload changed nothing: line 3: nonsense" in shown
    assert "waits for a restart: listen: a → b" in shown
    assert failed.least == 3
    assert "… and 2 more" in "\n".join(line.plain for line in failed.lines(3))


def test_one_that_went_well_is_one_line() -> None:
    assert text(config(status(), 200)).count("\n") == 0
    assert ": done" in text(config(told(), 200))


def test_batches_have_a_line_where_there_is_a_store() -> None:
    view = {"queued": 90, "running": 10, "done": 5, "failed": 1, "used_b": 1 << 20, "size_b": 1 << 30}
    running = {"batches": [{"eta_s": 90.0}, {"eta_s": None}]}
    shown = text(waiting(status(batches={**view, **running}), 200))
    for word in ("100 lines left", "10 running", "5 done", "1 failed", "about"):
        assert word in shown
    assert "paused" in text(waiting(status(batches={**view, "is_paused": True}), 200))
    assert "lines left" not in text(waiting(status(batches=None), 200))
