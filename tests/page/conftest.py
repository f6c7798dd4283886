"""A headless Chromium, and pages of it that must not report any error."""

import asyncio
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.engine_scripts import begin_stream, end_stream, say
from tests.support.fake_backend import Exchange
from tests.support.fake_engine import well_behaved
from tests.support.fixtures import leak_probe, start_backend, start_pair, start_proxy
from tests.support.patience import eventually

__all__ = ["leak_probe", "start_backend", "start_pair", "start_proxy"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
OpenPage = Callable[..., Any]
PAUSE_S = 0.03
POLICY = "Content Security Policy"


def until(page: Any, condition: str, within_s: float = 15.0) -> None:
    """Waits for a JavaScript expression. Playwright's own way is an `eval`, which the page's policy forbids."""
    eventually(lambda: page.evaluate(f"Boolean({condition})"), condition, within_s)


async def talks(exchange: Exchange) -> None:
    """An engine that says a chat in twenty words, one every 30 ms."""
    if b'"stream": true' not in exchange.request.body and b'"stream":true' not in exchange.request.body:
        await well_behaved(exchange)
        return
    await begin_stream(exchange)
    for number in range(20):
        await asyncio.sleep(PAUSE_S)
        await say(exchange, f"word{number} ")
    await end_stream(exchange)


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """For this folder alone: while it is there a loop runs in this thread, and no test that is a coroutine could run.
    Skips without one, or fails where it is said to be there (`TIDEGATE_BROWSER_REQUIRED=1`)."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    if CHROMIUM is None:
        reason = "no Chromium here: apt-get install chromium"
        if os.environ.get("TIDEGATE_BROWSER_REQUIRED"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[OpenPage]:
    """Opens the page of a proxy in a browser of its own; any error of a script fails the test."""
    errors: list[str] = []
    with ExitStack() as stack:

        def opened(proxy: Any, *, width: int = 1280, height: int = 900, wait: bool = True, **context: Any) -> Any:
            made = browser.new_context(viewport={"width": width, "height": height}, **context)
            stack.callback(made.close)
            page = made.new_page()
            page.set_default_timeout(15_000)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda message: errors.append(message.text) if POLICY in message.text else None)
            page.goto(proxy.admin_url)
            if wait:
                page.wait_for_selector("html[data-ready]")
            return page

        yield opened
    assert errors == []
