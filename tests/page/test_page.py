"""The page as people see it: there, true, alive, and inert where names are hostile."""

import os
from pathlib import Path

import pytest

from proxy.core.fleet.health import HealthState
from tests.page.conftest import talks, until
from tests.support.bed import backend_entry
from tests.support.patience import eventually

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}
PROMISES = {"classes": [{"name": "interactive", "slo": {"ttft": "1ms"}}, {"name": "calm", "slo": {"ttft": "30s"}}]}


def text(page, selector: str) -> str:
    return page.locator(selector).first.inner_text()


def value(page, selector: str) -> float:
    return float(page.locator(selector).first.get_attribute("data-v"))


def decisions(page) -> int:
    return page.locator("#decision-rows tr").count()


def at_rest(page, proxy, count: int) -> None:
    """The page has heard of all that ended."""
    until(page, f"feed.state && feed.state.decisions_seq === {count} && feed.state.totals.in_flight === 0")


def test_it_renders_and_explains_that_nothing_happened(start_pair, open_page):
    _, proxy = start_pair()
    page = open_page(proxy)
    assert text(page, "#ready") == "ready"
    assert page.locator("#lane-list article").count() == 2
    assert text(page, '[data-backend="alpha"] .pill') == "healthy"
    assert f"{proxy.url}/v1" in text(page, "#no-decisions")
    assert "cache.size" in text(page, "#cache")
    assert page.locator("#banner").is_hidden()
    assert page.locator("#tide canvas").count() == 1
    assert page.locator("header, nav, main, footer").count() == 4


def ready_ms(page) -> float:
    """Milliseconds until it was ready: as they passed, or, where other tests took the cores, those that it worked."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.reload()
    page.wait_for_selector("html[data-ready]")
    metrics = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return min(float(page.locator("html").get_attribute("data-ready")), metrics["TaskDuration"] * 1e3)


def test_it_is_ready_at_once(start_pair, open_page):
    """300 ms on loopback."""
    _, proxy = start_pair()
    assert min(ready_ms(open_page(proxy)) for _ in range(5)) < 300


def test_it_follows_what_happens(start_pair, open_page):
    _, proxy = start_pair()
    page = open_page(proxy)
    for _ in range(3):
        proxy.ask("POST", PATH, CHAT)
    proxy.ask("POST", PATH, {**CHAT, "model": "nobody-has-it"})
    eventually(lambda: decisions(page) == 3 or decisions(page) == 4, "the decisions", 5.0)
    assert "alpha" in text(page, "#decision-rows")
    page.click("#show-notable")
    page.click("#show-all")
    page.click("#decision-rows tr:last-child button")
    page.wait_for_selector("#detail .stack")
    told = text(page, "#detail-body")
    assert "If the same came now: dispatch to alpha" in told
    assert "interactive" in told


def test_every_number_is_that_of_the_metrics(start_pair, open_page):
    _, proxy = start_pair(config=PROMISES)
    for name in ("interactive", "calm", "calm", "bulk"):
        proxy.ask("POST", PATH, {**CHAT, "stream": True}, [("x-tidegate-class", name), ("x-fake", "stream 5 0.005")])
    page = open_page(proxy)
    at_rest(page, proxy, 4)
    metrics = proxy.metrics()
    for name in ("interactive", "calm", "bulk"):
        kept = metrics.total("tidegate_slo_requests_total", result="kept", **{"class": name})
        lane = f'[data-lane="{name}"]'
        assert value(page, f"{lane} .share .pairs dd") == kept
        shown = page.evaluate(f"feed.state.classes['{name}']")
        for at, measure in enumerate(("ttft", "tpot"), 3):
            for column, percentile in enumerate((50, 95, 99), 2):
                labels = {"by": "class", "name": name, "window": "5m", "percentile": str(percentile)}
                told = metrics.total(f"tidegate_recent_{measure}_seconds", **labels)
                cell = f"{lane} > .times:nth-child({at}) div:nth-child({column}) b"
                assert value(page, cell) == shown[f"{measure}_s"][f"p{percentile}"] == told
    assert value(page, '[data-figure="kept"]') == 2 / 3, "of classes that promise something"
    for figure, metric in (("gauge:nth-of-type(2)", "kv_used_tokens"), ("gauge:nth-of-type(3)", "backlog_seconds")):
        shown = value(page, f'[data-backend="alpha"] .{figure} b')
        assert shown == pytest.approx(metrics.total(f"tidegate_backend_{metric}", backend="alpha"), rel=0.05)
    assert value(page, '[data-figure="flight"]') == metrics.total("tidegate_backend_in_flight") == 0
    assert value(page, '[data-figure="waiting"]') == metrics.total("tidegate_held_jobs") == 0
    tile, labels = '[data-backend="alpha"]', {"backend": "alpha"}
    assert value(page, f"{tile} .learned b") == metrics.total(
        "tidegate_backend_learned_prefill_tokens_per_second", **labels
    )
    assert value(page, f"{tile} .learned div:nth-child(2) b") == metrics.total(
        "tidegate_backend_learned_tpot_seconds", **labels
    )
    attainment = metrics.total("tidegate_slo_attainment", **{"class": "calm"})
    assert value(page, "#slos .slo:nth-child(2) .slo-head b:last-child") == attainment == 1


def test_every_state_of_a_backend_has_its_word(start_pair, open_page):
    _, proxy = start_pair()
    page = open_page(proxy)
    words = {"healthy": "healthy", "ejected": "ejected", "probation": "on trial", "away": "away"}
    assert words.keys() == set(HealthState)
    for state, word in words.items():
        page.evaluate("(state) => feed.change({ backends: { alpha: { state } } })", state)
        until(page, f"document.querySelector('[data-backend=\"alpha\"] .pill').textContent === '{word}'")


def test_refused_are_those_that_were_refused(start_pair, open_page):
    """Not those that no backend could answer."""
    _, proxy = start_pair()
    for script in ("reset", "status 500 broke"):
        proxy.ask("POST", PATH, CHAT, [("x-fake", script)])
    page = open_page(proxy)
    until(page, "feed.state && feed.state.decisions_seq === 2")
    assert page.evaluate("feed.state.classes.interactive.ended") == {"failed": 2}
    assert text(page, '[data-figure="kept"] + .note') == "0 refused since the start"


def test_a_restart_is_told_and_survived(bed, start_backend, open_page):
    engine = start_backend()
    config = {"backends": [backend_entry(engine, "alpha")]}
    with bed.proxy(config) as first:
        first.ask("POST", PATH, CHAT)
        page = open_page(first)
        admin = f"127.0.0.1:{first.admin_port}"
        before = page.evaluate("feed.state.instance")
    page.wait_for_selector("#banner:not([hidden])")
    assert "reconnects" in text(page, "#banner")
    assert text(page, "#live") == "reconnecting"
    with bed.proxy(config, "--admin", admin):
        until(page, f"feed.state.instance !== '{before}'")
        page.wait_for_selector("#banner", state="hidden")
        assert text(page, "#live") == "live"
        eventually(lambda: decisions(page) == 0, "no decision of the former life")
        page.close()


HOSTILE = ("<img src=x onerror=window.hacked=1>", "</script><script>window.hacked=2</script>", "__proto__")
UNPRINTABLE = "\u202egnp.exe\u202c \u0007bell\x1b[31mred"
"""The proxy refuses such a model; a page believes nobody."""


def test_hostile_names_are_only_text(start_backend, start_proxy, open_page):
    engine = start_backend(models=HOSTILE)
    backends = [backend_entry(engine, name) for name in ("__proto__", "constructor")]
    proxy = start_proxy({"backends": backends}, models=len(HOSTILE))
    page = open_page(proxy)
    for name in HOSTILE:
        proxy.ask("POST", PATH, {**CHAT, "model": name}, [("authorization", "Bearer <b>")])
    eventually(lambda: decisions(page) == len(HOSTILE), "the decisions", 5.0)
    page.evaluate(
        "(name) => feed.change({ decisions: [{ ...feed.state.decisions[0], seq: 1e6, model: name, why: name }] })",
        UNPRINTABLE,
    )
    page.wait_for_selector("text=gnp.exe")
    shown = page.locator("#decision-rows").inner_text() + page.locator("#play-model").inner_text()
    assert HOSTILE[0] in shown
    assert "gnp.exe" in shown
    assert not set("\u202e\u202c\u0007\x1b") & set(shown)
    assert page.locator("img, #decision-rows script").count() == 0
    page.click("#decision-rows tr:last-child button")
    page.wait_for_selector("#detail .stack")
    assert HOSTILE[0] in text(page, "#detail-body")
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("['state', 'pool', 'in_flight'].every((name) => ({})[name] === undefined)")


def test_a_phone_shows_what_became_of_each_request(start_pair, open_page):
    """The columns that matter most, none of them off the screen; a row opens all of it."""
    _, proxy = start_pair()
    proxy.ask("POST", PATH, CHAT)
    page = open_page(proxy, width=390)
    at_rest(page, proxy, 1)
    shown = page.evaluate(
        "[...document.querySelectorAll('#decisions th')].filter((one) => one.checkVisibility())"
        ".map((one) => [one.textContent, one.getBoundingClientRect().right <= innerWidth])"
    )
    assert shown == [[name, True] for name in ("Ended", "Class", "Backend", "TTFT", "Outcome")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844), (320, 640)])
def test_screenshots_of_every_size(start_backend, start_proxy, open_page, tmp_path, scheme, width, height):
    """Nothing is wider than the screen. `TIDEGATE_SCREENSHOTS=FOLDER` keeps the pictures, to be looked at."""
    engines = [start_backend(talks) for _ in range(2)]
    names = ("a-backend-with-quite-a-long-name", "beta")
    backends = [backend_entry(engine, name, pool=name[:4]) for engine, name in zip(engines, names, strict=True)]
    proxy = start_proxy({"backends": backends, **PROMISES})
    for name in ("interactive", "calm", "bulk"):
        proxy.ask("POST", PATH, {**CHAT, "stream": True}, [("x-tidegate-class", name)])
    page = open_page(proxy, width=width, height=height, color_scheme=scheme)
    at_rest(page, proxy, 3)
    page.check("#play-two")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    page.evaluate("scrollTo(0, 0)")
    folder = Path(os.environ.get("TIDEGATE_SCREENSHOTS") or tmp_path)
    picture = page.screenshot(path=folder / f"page-{scheme}-{width}.png", full_page=True)
    assert len(picture) > 20_000
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 200) is (scheme == "dark")


def test_the_theme_can_be_chosen_and_is_kept(start_pair, open_page):
    _, proxy = start_pair()
    page = open_page(proxy, color_scheme="light")
    assert page.locator("html").get_attribute("data-theme") == "light"
    for _ in range(2):
        page.click("#theme")
    assert text(page, "#theme") == "Theme: dark"
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_a_reload_that_failed_is_told(start_pair, open_page):
    _, proxy = start_pair()
    page = open_page(proxy)
    written = proxy.config_path.read_text()
    proxy.config_path.write_text(written + "\nnonsense: '<b>1</b>'\n")
    assert page.evaluate("fetch('/reload', { method: 'POST' }).then((answer) => answer.status)") >= 400
    until(page, "document.querySelector('#config .trouble')?.textContent.includes('nonsense')")
    proxy.config_path.write_text(written)
    assert page.evaluate("fetch('/reload', { method: 'POST' }).then((answer) => answer.status)") == 200
    until(page, "!document.querySelector('#config .trouble')")


def test_error_budgets_burn_down(start_pair, open_page):
    slos = [
        {"name": "fast", "class": "interactive", "objective": "90%", "window": "7d", "ttft": "1ms"},
        {"name": "calm", "class": "interactive", "objective": "90%", "window": "7d", "ttft": "30s"},
    ]
    _, proxy = start_pair(config={"slos": slos})
    page = open_page(proxy)
    for _ in range(4):
        proxy.ask("POST", PATH, {**CHAT, "stream": True}, [("x-fake", "stream 3 0.005")])
    until(page, "feed.state.slos.fast.events === 4")
    until(page, "document.querySelectorAll('#slos .slo').length === 2")
    told = {slo["name"]: slo for slo in proxy.admin("/slo").json()["slos"]}
    for at, name in enumerate(("fast", "calm"), 1):
        left = pytest.approx(told[name]["error_budget_left"])
        shown = f"#slos .slo:nth-child({at}) .slo-head b:last-child"
        eventually(lambda shown=shown, left=left: value(page, shown) == left, "what is left of it", 15.0)
    assert "objective 90" in text(page, "#slos")
