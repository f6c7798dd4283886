"""The scheduler at work in a running proxy before simulated engines: classes, promises, scrapes, explanations."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from time import monotonic

import pytest

from proxy.cli.main import main
from tests.support import live_proxy
from tests.support.live_proxy import CHAT, Live, SimEngine
from tests.support.patience import eventually

RULES = """
routing:
  scrape: 2s
  rules:
    - when: {model: ['m'], stream: false}
      class: bulk
      pool: slow
    - when: {constrained: true}
      prefer: [plain]
classes:
  - name: chat
    slo: chatbot
    hedge: 300ms
"""
ENGINES = (SimEngine("a", "fast"), SimEngine("b", "slow"))


def running(tmp_path: Path, more: str = RULES) -> AbstractAsyncContextManager[Live]:
    return live_proxy.running(tmp_path, more, ENGINES)


async def test_the_route_says_backend_class_rule_reason_and_wait(tmp_path: Path) -> None:
    async with running(tmp_path) as live:
        status, route, *_ = await live.ask()
        assert status == 200
        assert route == {
            "backend": route["backend"],
            "class": "interactive",
            "rule": "default",
            "reason": "goodput",
            "queued": route["queued"],
        }
        assert route["backend"] in ("a", "b")
        assert 0 <= int(route["queued"].removesuffix("ms")) < 1000
        for _ in range(3):
            _, route, *_ = await live.ask({"stream": False})
            assert (route["backend"], route["class"], route["rule"]) == ("b", "bulk", "rules[0]")
        _, route, *_ = await live.ask(x_tidegate_class="chat")
        assert (route["class"], route["rule"]) == ("chat", "header")
        _, route, *_ = await live.ask({"service_tier": "flex"})
        assert (route["class"], route["rule"]) == ("bulk", "tier")


async def test_what_is_refused_for_its_headers_names_them(tmp_path: Path) -> None:
    async with running(tmp_path) as live:
        for name, value in (("x_slo_ttft_ms", "-5"), ("x_request_deadline_ms", "soon"), ("x_tidegate_class", "gold")):
            status, _, body, _ = await live.ask(**{name: value})
            assert status == 400
            assert json.loads(body)["error"]["param"] == name.replace("_", "-")
        assert "interactive, bulk" in json.loads(body)["error"]["message"]
        status, route, *_ = await live.ask(x_slo_ttft_ms="2000", x_request_deadline_ms="30000")
        assert (status, route["class"]) == (200, "interactive")


async def test_a_deadline_that_passes_while_held_is_told_with_its_route(tmp_path: Path) -> None:
    async with running(tmp_path, "hold: {min_jobs: 0, per_in_flight: 0}\nretries: {attempts: 1}\n") as live:
        status, route, *_ = await live.ask({"model": "nobody's"})
        assert status == 404
        assert route["backend"] == "none"
        assert route["reason"] != "goodput"


async def test_traffic_and_scrapes_teach_the_scheduler(tmp_path: Path) -> None:
    async with running(tmp_path) as live:
        scheduler = live.proxy._scheduler
        for _ in range(6):
            await live.ask(authorization="Bearer sk-1")

        def learnt() -> bool:
            views = scheduler.backends(monotonic())
            return all(v.kv_tokens for v in views) and sum(v.samples for v in views) == 6

        await asyncio.to_thread(eventually, learnt, "scrapes told the KV budget, first tokens were seen")
        counts = scheduler.counts(monotonic())
        assert (counts.finished, counts.in_flight) == (6, 0)
        assert counts.predicted_hit_tokens > 0
        assert list(scheduler.tenants(monotonic())) == ["0f2c10bf"], "the digest of the key, not the key"


async def test_explain_over_http(tmp_path: Path) -> None:
    async with running(tmp_path) as live:
        status, told = await live.explain({**CHAT, "stream": False})
        assert status == 200
        assert (told["class"], told["class_by"], told["rule"]) == (
            "bulk",
            "rule",
            {"path": "routing.rules[0]", "line": 12},
        )
        assert told["require"] == ["pool=slow"]
        assert told["decision"]["outcome"] == "dispatch"
        assert told["decision"]["backend"] == "b"
        assert {c["backend"]: c["removed_by"] for c in told["decision"]["candidates"]} == {"a": "labels", "b": None}
        assert told["prefix_blocks"] >= 2
        status, told = await live.explain(CHAT, x_tidegate_class="chat", x_slo_tpot_ms="20")
        assert (told["promise"]["ttft_s"], told["promise"]["tpot_s"]) == (0.2, 0.02)
        assert (told["hedged"], told["decision"]["hedge_after_s"]) == (True, 0.3)
        assert live.proxy._scheduler.counts(monotonic()).offered == 0, "nothing was submitted"
        status, told = await live.explain({"model": 3})
        assert (status, told["error"]["param"]) == (400, "model")
        status, told = await live.explain(CHAT, x_slo_ttft_ms="x")
        assert (status, told["error"]["param"]) == (400, "x-slo-ttft-ms")


async def test_explain_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = tmp_path / "request.json"
    request.write_text(json.dumps({**CHAT, "stream": False}))
    async with running(tmp_path) as live:
        words = ["explain", str(live.file), str(request), "--admin", live.proxy.admin_url]
        assert await asyncio.to_thread(main, words) == 0
        text = capsys.readouterr().out
        assert f"class     bulk, decided by rule (routing.rules[0], {live.file} line 12)" in text
        assert "outcome   dispatch to b (policy goodput, admission auto)" in text
        assert text.rstrip().endswith("labels (lacks pool=slow)")
        assert "hedge" not in text
        request.write_text(json.dumps(CHAT))
        assert await asyncio.to_thread(main, [*words, "--header", "x-tidegate-class: chat"]) == 0
        assert "hedge     after 300 ms without a first byte" in capsys.readouterr().out
        request.write_text(json.dumps({**CHAT, "stream": False}))
        assert await asyncio.to_thread(main, [*words, "--header", "x-tidegate-class: gold"]) == 1
        assert "There is no traffic class 'gold'" in capsys.readouterr().err
        assert await asyncio.to_thread(main, [*words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["class"] == "bulk"
    assert await asyncio.to_thread(main, words) == 1
    assert "no proxy answers" in capsys.readouterr().err


async def test_a_preempted_bulk_request_goes_on_elsewhere_and_its_client_sees_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, "headers: {forward: ['x-sim-*']}\n") as live:
        driver = live.proxy._driver
        scheduler = live.proxy._scheduler
        attempts, waiting = scheduler._attempts, scheduler._waiting
        asking = asyncio.ensure_future(live.ask(x_tidegate_class="bulk", x_sim_delay_ms="500"))
        await asyncio.to_thread(eventually, lambda: attempts.in_flight == 1, "the attempt is out")
        await asyncio.sleep(0.1)
        now = monotonic()
        (open_job,) = attempts.open.values()
        first = open_job.attempts[0].backend
        candidates = scheduler._fleet.catalogue.find("m")
        assert candidates is not None
        abort = attempts.preempt(open_job, now)
        waiting._add(scheduler._held.backfill, open_job, candidates, frozenset({first}), now)
        driver._carry_out([abort, *waiting.feed_all(now)])
        status, route, body, _ = await asking
        assert status == 200
        assert body.rstrip().endswith(b"[DONE]")
        assert route["backend"] != first.name
        counts = scheduler.counts(monotonic())
        assert (counts.preempted, counts.finished, counts.in_flight, counts.held) == (1, 1, 0, 0)
        assert all(view.in_flight == 0 for view in scheduler.backends(monotonic()))


async def test_the_default_admission_refuses_nobody_before_it_has_learned(tmp_path: Path) -> None:
    async with running(tmp_path) as live:
        asks = (live.ask(x_slo_ttft_ms="1", x_slo_tpot_ms="0.01") for _ in range(40))
        answers = await asyncio.gather(*asks)
        assert {answer.status for answer in answers} == {200}
        assert live.proxy._scheduler.counts(monotonic()).refused == 0
        told = await live.metrics()
        assert 'tidegate_slo_requests_total{class="interactive",result="late"} 40.0' in told
