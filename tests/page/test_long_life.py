"""Hours, many tabs, tabs that sleep, clocks that jump: the page stays small and true."""

from pathlib import Path

import pytest

from tests.page.conftest import until
from tests.support.patience import eventually

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}]}
SECONDS = (Path(__file__).parent / "seconds.js").read_text()


def hide(page, hidden: bool) -> None:
    """As a browser does with a tab that nobody sees."""
    get = f"get: () => {str(hidden).lower()}"
    page.evaluate(f"Object.defineProperty(document, 'hidden', {{ configurable: true, {get} }})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def heap_b(page) -> int:
    session = page.context.new_cdp_session(page)
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    used = session.send("Runtime.getHeapUsage")["usedSize"]
    session.detach()
    return int(used)


@pytest.mark.slow
def test_eight_hours_do_not_make_it_grow(start_pair, open_page):
    _, proxy = start_pair()
    page = open_page(proxy)
    page.set_default_timeout(150_000)
    page.evaluate("feed.close(); feed.look = () => {}")
    page.evaluate(SECONDS, 7000)
    nodes = page.evaluate("document.querySelectorAll('*').length")
    before = heap_b(page)
    page.evaluate(SECONDS, 8 * 3600 - 7000)
    after = heap_b(page)
    assert after - before < 1_000_000, (before, after)
    assert page.evaluate("document.querySelectorAll('*').length") <= nodes + 20
    assert page.evaluate("[tokens.x.length, feed.state.decisions.length, feed.state.notable.length]") == [600, 200, 200]


def test_a_hidden_tab_asks_for_nothing_and_catches_up(start_pair, open_page):
    _, proxy = start_pair()
    page = open_page(proxy)
    watched = proxy.metrics().total("tidegate_tasks")
    hide(page, True)
    assert page.evaluate("feed.source") is None
    eventually(lambda: proxy.metrics().total("tidegate_tasks") == watched - 1, "nobody watches")
    proxy.ask("POST", PATH, CHAT)
    hide(page, False)
    until(page, "feed.state.decisions.length === 1")
    assert page.locator("#live").inner_text() == "live"


def test_a_clock_that_jumps(start_pair, open_page):
    _, proxy = start_pair()
    page = open_page(proxy)
    points = page.evaluate("tokens.x.length")
    for jump in (-86_400, 1e9, -2e9):
        page.evaluate(f"feed.change({{ at: feed.state.at + {jump} }}), new Promise(requestAnimationFrame)")
    later = page.evaluate("tokens.x")
    assert len(later) >= min(600, points + 3)
    assert later == sorted(later)
    until(page, "Math.abs(feed.state.at - Date.now() / 1000) < 5")


def test_too_many_pages_ask_now_and_then_instead(start_pair, open_page):
    _, proxy = start_pair()
    page = open_page(proxy)
    page.route("**/events", lambda route: route.fulfill(status=503, body="{}"))
    page.evaluate("feed.open()")
    page.wait_for_selector("#banner:not([hidden])")
    assert "five seconds" in page.locator("#banner").inner_text()
    proxy.ask("POST", PATH, CHAT)
    until(page, "feed.state.totals.finished === 1")
    page.unroute("**/events")
    page.evaluate("feed.fullSince = -1e9")
    page.wait_for_selector("#banner", state="hidden")
    assert page.locator("#live").inner_text() == "live"


def test_many_tabs_of_one_browser(start_pair, open_page):
    """A browser opens six connections to one place: hidden tabs hold none."""
    _, proxy = start_pair()
    page = open_page(proxy)
    tabs = []
    for _ in range(12):
        tab = page.context.new_page()
        tab.add_init_script("Object.defineProperty(document, 'hidden', { configurable: true, get: () => true })")
        tab.goto(proxy.admin_url)
        tabs.append(tab)
    until(page, "document.getElementById('live').textContent.trim() === 'live'")
    hide(tabs[7], False)
    tabs[7].wait_for_selector("html[data-ready]")
