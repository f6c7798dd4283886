"""Another configuration in a running proxy: who is served goes on, who leaves drains, what is off stops."""

import asyncio
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp

from proxy.sim.engine.spec import LOW_LATENCY
from tests.support.live_proxy import CHAT, Answer, Live, SimEngine, running
from tests.support.patience import eventually

LONG = {"max_tokens": 400}
"""Two seconds of a `slow()` engine: a fast one may have answered before anybody looks."""


def slow(name: str, options: str = "") -> SimEngine:
    return SimEngine(name, spec=LOW_LATENCY, options=options)


def replace(live: Live, *pairs: tuple[str, str]) -> None:
    """The file with each of these words in place of another, put in place."""
    text = live.file.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    live.file.write_text(text)
    live.put_in_place()


def without(live: Live, name: str) -> None:
    lines = [line for line in live.file.read_text().splitlines(keepends=True) if f"name: {name}," not in line]
    live.file.write_text("".join(lines))
    live.put_in_place()


async def until(condition: Any, what: str) -> None:
    await asyncio.to_thread(eventually, condition, what)


async def test_a_stream_outlives_its_backend_in_the_file_and_then_nothing_is_left(tmp_path: Path) -> None:
    async with running(tmp_path, "", [slow("a"), slow("b")]) as live:
        view = {v.name: v for v in live.proxy._scheduler.backends(monotonic())}
        assert set(view) == {"a", "b"}
        streams = [asyncio.ensure_future(live.ask(LONG)) for _ in range(4)]
        await until(lambda: _flows(live, "a"), "a is at work")
        old = live.proxy._backends["a"]
        without(live, "a")
        assert "a" in live.proxy._backends
        assert {(await live.ask()).route["backend"] for _ in range(6)} == {"b"}
        answers = await asyncio.gather(*streams)
        assert [answer.status for answer in answers] == [200] * 4
        assert all(answer.body.endswith(b"data: [DONE]\n\n") for answer in answers)
        assert {answer.route["backend"] for answer in answers} == {"a", "b"}
        await until(lambda: "a" not in live.proxy._backends, "a is forgotten")
        assert old.pool.open_connections == 0
        assert 'tidegate_backend_in_flight{backend="a"' not in await live.metrics()


def _flows(live: Live, name: str) -> bool:
    return any(v.name == name and v.in_flight for v in live.proxy._scheduler.backends(monotonic()))


async def test_another_url_under_a_name_is_another_engine(tmp_path: Path) -> None:
    async with running(tmp_path, "", [slow("a"), slow("b")]) as live:
        await asyncio.gather(*[live.ask() for _ in range(8)])
        stream = asyncio.ensure_future(live.ask(LONG))
        await until(lambda: _flows(live, "a") or _flows(live, "b"), "it streams")
        before = dict(live.proxy._backends)
        one, two = live.sims["a"].url, live.sims["b"].url
        text = live.file.read_text().replace(one, "X").replace(two, one).replace("X", two)
        live.file.write_text(text)
        live.put_in_place()
        assert all(live.proxy._backends[name] is not before[name] for name in ("a", "b"))
        assert (await stream).body.endswith(b"data: [DONE]\n\n")
        assert (await live.ask()).status == 200
        await until(lambda: not live.proxy._scheduler._fleet.leaving, "the old ones are forgotten")
        assert [upstream.pool.open_connections for upstream in before.values()] == [0, 0]


async def test_other_limits_rules_and_classes_hold_from_the_next_request_on(tmp_path: Path) -> None:
    async with running(tmp_path, "limits: {body: {size: 1MiB}}\n", [SimEngine("a")]) as live:
        big = {"messages": [{"role": "user", "content": "x" * 5000}]}
        assert (await live.ask(big)).status == 200
        replace(live, ("size: 1MiB", "size: 2KiB"))
        assert (await live.ask(big)).status == 413
        assert (await live.ask(x_tidegate_class="vip")).status == 400
        live.file.write_text(live.file.read_text() + "classes: [{name: vip}]\n")
        live.put_in_place()
        assert (await live.ask(x_tidegate_class="vip")).route["class"] == "vip"


async def test_who_waits_in_a_class_that_goes_keeps_it(tmp_path: Path) -> None:
    one = SimEngine("a", spec=LOW_LATENCY, options="max_concurrency: 1")
    async with running(tmp_path, "classes: [{name: vip}]\n", [one]) as live:
        first = asyncio.ensure_future(live.ask({"max_tokens": 300}))
        await until(lambda: _flows(live, "a"), "it streams")
        second = asyncio.ensure_future(live.ask(x_tidegate_class="vip"))
        await until(lambda: live.proxy._scheduler.counts(monotonic()).held, "it waits")
        replace(live, ("name: vip", "name: gold"))
        assert (await first).status == 200
        answer = await second
        assert (answer.status, answer.route["class"]) == (200, "vip")
        assert (await live.ask(x_tidegate_class="vip")).status == 400


async def test_a_cache_keeps_what_has_room_and_goes_with_its_size(tmp_path: Path) -> None:
    async with running(tmp_path, "cache: {size: 1MiB}\n", [SimEngine("a")]) as live:
        same = {**CHAT, "temperature": 0}
        assert (await live.ask(same)).headers.get("x-tidegate-cache") == "miss"
        replace(live, ("size: 1MiB", "size: 2MiB"))
        assert (await live.ask(same)).headers.get("x-tidegate-cache") == "hit"
        replace(live, ("size: 2MiB", "size: 2MiB, epoch: two"))
        assert (await live.ask(same)).headers.get("x-tidegate-cache") == "miss"
        replace(live, ("size: 2MiB, epoch: two", "size: 0"))
        assert "x-tidegate-cache" not in (await live.ask(same)).headers


async def test_objectives_come_and_go_and_those_that_stay_go_on(tmp_path: Path) -> None:
    async with running(
        tmp_path, "slos:\n  - {name: x, class: interactive, objective: 99%}\n", [SimEngine("a")]
    ) as live:
        await live.ask()
        replace(live, ("objective: 99%}", "objective: 90%}\n  - {name: y, class: interactive, objective: 80%}"))
        await live.ask()
        told = await live.metrics()
        assert 'tidegate_slo_events_total{slo="x"} 2.0' in told
        assert 'tidegate_slo_objective_ratio{slo="x"} 0.9' in told
        assert 'tidegate_slo_events_total{slo="y"} 1.0' in told


async def test_scrapes_come_in_another_rhythm_or_not_at_all(tmp_path: Path) -> None:
    async with running(tmp_path, "routing: {scrape: 30s}\n", [SimEngine("a")]) as live:
        attendant = live.proxy._attendants._by_name["a"]
        first = attendant.scraper
        replace(live, ("scrape: 30s", "scrape: 2s"))
        assert attendant.scraper is not first
        await until(lambda: attendant.scraper is not None and attendant.scraper.reads, "it is read")
        replace(live, ("scrape: 2s", "scrape: 0"))
        assert attendant.scraper is None
        assert len(attendant.tasks()) == 1, "the prober's"


def _digest(key: str) -> str:
    return "sha256:" + sha256(key.encode()).hexdigest()


def _left(answer: Answer) -> int:
    return int(answer.headers["x-ratelimit-remaining-day-tokens"])


async def test_a_key_that_is_taken_away_is_refused_on_connections_that_are_open(tmp_path: Path) -> None:
    one, two = _digest("tg-1"), _digest("tg-2")
    tenants = f"auth: keys\ntenants: [{{tenant: team-a, tokens_per_day: 500000, keys: [{one}]}}]\n"
    async with running(tmp_path, tenants, [slow("a")]) as live:
        first = _left(await live.ask(x_api_key="tg-1"))
        replace(live, (f"keys: [{one}]", f"keys: [{one}, {two}]"))
        second = _left(await live.ask(x_api_key="tg-2"))
        assert second < first < 500_000, "both are keys of one tenant"
        stream = asyncio.ensure_future(live.ask(LONG, x_api_key="tg-1"))
        await until(lambda: _flows(live, "a"), "it streams")
        replace(live, (f"keys: [{one}, ", "keys: ["), ("tokens_per_day: 500000", "tokens_per_day: 600000"))
        assert (await live.ask(x_api_key="tg-1")).status == 401
        assert _left(await live.ask(x_api_key="tg-2")) < second + 100_000, "what was used counts on"
        assert (await stream).body.endswith(b"data: [DONE]\n\n"), "who was let in is served"
        replace(live, ("auth: keys", "auth: none"))
        assert (await live.ask()).status == 200


async def test_the_admin_port_takes_another_key_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, "admin_key: '${A:-one-key}'\n", [SimEngine("a")]) as live:

        async def status(key: str) -> int:
            headers = {"authorization": f"Bearer {key}"}
            url = f"{live.proxy.admin_url}/metrics"
            async with aiohttp.ClientSession(headers=headers) as asker, asker.get(url) as answer:
                return answer.status

        assert [await status(key) for key in ("one-key", "two-key")] == [200, 401]
        replace(live, ("one-key", "two-key"))
        assert [await status(key) for key in ("one-key", "two-key")] == [401, 200]
