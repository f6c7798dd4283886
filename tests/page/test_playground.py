"""The playground: tokens as they come, measures, stop, two at once, keys that stay in the tab."""

from tests.page.conftest import talks, until
from tests.support.bed import backend_entry
from tests.support.patience import eventually

SHORT = [{"name": "interactive", "answer": {"first": "5 tokens"}}]


def ask(page, text: str = "Hello") -> None:
    page.fill("#play-text", text)
    page.click("#play-send")


def said(page, side: int = 1) -> str:
    return page.locator(f".side:nth-child({side}) .said.assistant").last.inner_text()


def test_it_streams_and_measures(start_pair, open_page):
    _, proxy = start_pair(default=talks)
    page = open_page(proxy)
    ask(page)
    until(page, "document.querySelector('.said.assistant')?.textContent.includes('word3')")
    assert "word19" not in said(page), "shown while it comes"
    page.wait_for_selector(".side .stack")
    assert "word19" in said(page)
    assert page.locator("[data-measure=tokens]").inner_text() == "20"
    assert page.locator("[data-measure=backend]").inner_text() == "alpha"
    tpot = page.locator("[data-measure=TPOT]").inner_text()
    assert tpot.endswith("ms")
    assert 20 <= float(tpot.split()[0]) <= 90
    stages = page.locator(".side .stack").get_attribute("aria-label")
    assert "prefill" in stages
    assert "decode" in stages
    page.click("text=Why it went there")
    page.wait_for_selector("#detail .stack")


def test_stop_reaches_the_engine(start_pair, open_page):
    engine, proxy = start_pair(default=talks)
    page = open_page(proxy)
    ask(page)
    until(page, "document.querySelector('.said.assistant')?.textContent.includes('word2')")
    page.click("#play-stop")
    eventually(lambda: engine.requests[-1].aborted_at is not None, "the abort at the engine")
    page.wait_for_selector("text=by you")
    eventually(page.locator("#play-send").is_enabled, "the next question may be sent")


def test_two_backends_side_by_side(start_backend, start_proxy, open_page):
    engines = {name: start_backend(talks) for name in ("alpha", "beta")}
    proxy = start_proxy({"backends": [backend_entry(engine, name) for name, engine in engines.items()]})
    page = open_page(proxy)
    page.check("#play-two")
    for side, name in ((0, "alpha"), (1, "beta")):
        page.locator(f"select[data-side='{side}']").first.select_option(name)
    for _ in range(2):
        ask(page)
        until(page, "document.querySelectorAll('.side .stack').length === 2 && !playground.stopper")
    assert [page.locator("[data-measure=backend]").nth(at).inner_text() for at in (0, 1)] == ["alpha", "beta"]
    assert {name: len(engine.requests) for name, engine in engines.items()} == {"alpha": 2, "beta": 2}


def test_a_class_may_be_chosen(start_pair, open_page):
    _, proxy = start_pair(default=talks)
    page = open_page(proxy)
    page.locator("select[data-side='0']").nth(1).select_option("bulk")
    ask(page)
    page.wait_for_selector(".side .stack")
    assert proxy.admin("/decisions").json()["decisions"][0]["class"] == "bulk"


def test_short_first_then_more(start_pair, open_page):
    _, proxy = start_pair(default=talks, config={"classes": SHORT})
    page = open_page(proxy)
    ask(page)
    page.wait_for_selector("text=Expand the short answer")
    page.click("text=Expand the short answer")
    until(page, "document.querySelectorAll('.said.assistant').length === 2 && !playground.stopper")
    assert "word19" in said(page)


def test_an_error_is_shown_as_it_was_told(start_pair, open_page):
    engine, proxy = start_pair(default=talks)
    page = open_page(proxy)
    page.evaluate("byId('play-model').append(new Option('nobody', 'nobody'))")
    page.select_option("#play-model", "nobody")
    ask(page)
    page.wait_for_selector(".said.error")
    assert "nobody" in page.locator(".said.error").inner_text()
    assert engine.requests == []


def test_a_key_stays_in_its_tab(start_pair, open_page):
    engine, proxy = start_pair(default=talks)
    page = open_page(proxy)
    page.fill("#play-key", "sk-of-mine")
    ask(page)
    page.wait_for_selector(".side .stack")
    assert engine.requests[-1].head.get("authorization") == "Bearer sk-of-mine"
    assert page.evaluate("JSON.stringify(localStorage)").find("sk-of-mine") < 0
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.input_value("#play-key") == "sk-of-mine"
    assert page.evaluate("document.cookie") == ""
    other = page.context.new_page()
    other.goto(proxy.admin_url)
    other.wait_for_selector("html[data-ready]")
    assert other.input_value("#play-key") == ""


def test_it_says_that_it_is_off(start_pair, open_page):
    _, proxy = start_pair(config={"console": {"playground": False}})
    page = open_page(proxy)
    assert page.locator("#play-send").is_disabled()
    assert "console.playground" in page.locator("#play-note").inner_text()
