"""For everybody: by keyboard, by screen reader, with low sight, without motion."""

from itertools import pairwise
from pathlib import Path

import pytest

from tests.page.conftest import talks
from tests.support.patience import eventually

PATH = "/v1/chat/completions"
CHAT = {"model": "fake-model", "messages": [{"role": "user", "content": "x"}], "stream": True}
LOW_CONTRAST = (Path(__file__).parent / "low_contrast.js").read_text()
CONTROLS = "theme show-all show-notable hold-list play-model play-key play-two play-text play-send"
FOCUSED = "document.activeElement.id || document.activeElement.textContent.trim().slice(0, 20)"
LIVE = "[...document.querySelectorAll('[aria-live], [role=status], [role=log]')]"
CONTROLS_AND_CHARTS = "[...document.querySelectorAll('button, input, select, textarea, [role=img]')]"
IS_NAMED = "(n) => n.labels?.length || n.textContent.trim() || n.getAttribute('aria-label')"
MOVES = "(s) => s.animationName !== 'none' || parseFloat(s.transitionDuration) > 0"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_is_aa(start_pair, open_page, scheme):
    _, proxy = start_pair(default=talks, config={"classes": [{"name": "interactive", "slo": {"ttft": "1ms"}}]})
    proxy.ask("POST", PATH, CHAT)
    proxy.ask("POST", PATH, CHAT, [("x-fake", "reset")])
    page = open_page(proxy, color_scheme=scheme)
    eventually(lambda: page.locator("#decision-rows tr").count() == 2, "the decisions")
    page.evaluate("showLink('lost')")
    page.fill("#play-text", "x")
    page.click("#play-send")
    page.wait_for_selector(".side .stack")
    assert page.evaluate(LOW_CONTRAST) == []
    page.click("#decision-rows button")
    page.wait_for_selector("#detail .stack")
    assert page.evaluate(LOW_CONTRAST) == []


def test_everything_by_keyboard(start_pair, open_page):
    _, proxy = start_pair()
    proxy.ask("POST", PATH, {**CHAT, "stream": False})
    page = open_page(proxy)
    eventually(lambda: page.locator("#decision-rows tr").count() == 1, "the decision")
    walked = []
    for _ in range(40):
        page.keyboard.press("Tab")
        walked.append(page.evaluate(FOCUSED))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", walked
        if walked[-1] == "Decisions as JSON":
            break
    assert walked[0] == "Skip to content"
    assert set(CONTROLS.split()) <= set(walked)
    page.focus("#decision-rows button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#detail[open] .stack")
    page.keyboard.press("Escape")
    page.wait_for_selector("#detail", state="hidden")
    assert page.evaluate("document.activeElement.closest('#decision-rows') !== null"), "back where it was"
    page.focus("#play-text")
    page.keyboard.type("hi")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector(".side .stack")


def test_what_a_screen_reader_hears(start_pair, open_page):
    _, proxy = start_pair()
    page = open_page(proxy)
    live = page.evaluate(f"{LIVE}.map((n) => [n.id || n.className, n.getAttribute('aria-live')])")
    assert live == [["banner", "polite"], ["talk", "off"]], "numbers that change each second are not read out"
    assert page.evaluate(f"{CONTROLS_AND_CHARTS}.every({IS_NAMED})")
    headings = page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map((n) => Number(n.tagName[1]))")
    assert headings[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(headings)), headings
    assert page.evaluate("document.documentElement.lang") == "en"


def test_nothing_moves_for_those_who_do_not_want_it(start_pair, open_page):
    _, proxy = start_pair()
    page = open_page(proxy, reduced_motion="reduce")
    moving = f"[...document.querySelectorAll('*')].map((n) => getComputedStyle(n)).filter({MOVES}).length"
    assert page.evaluate(moving) == 0
