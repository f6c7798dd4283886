"""The same call twice: with the official client direct to the engine, and through the proxy."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import openai
import pytest

from tests.support.fake_backend import FakeBackend, Received
from tests.support.fixtures import leak_probe, start_backend, start_pair, start_proxy
from tests.support.proxy_process import ProxyProcess

__all__ = ["leak_probe", "start_backend", "start_pair", "start_proxy"]

KEY = "sk-test-0123456789"
Same = Callable[[Callable[[openai.OpenAI], Any]], Any]


def client_of(url: str, **more: Any) -> openai.OpenAI:
    """An official client with a short timeout and no retries, unless told otherwise."""
    http = openai.DefaultHttpxClient(verify=False)  # no TLS here: loading the authorities takes 60 ms per client
    settings = {"base_url": f"{url}/v1", "api_key": KEY, "max_retries": 0, "timeout": 15.0, "http_client": http}
    return openai.OpenAI(**settings | more)


def plain(value: Any) -> Any:
    """Client objects as plain values, so that two of them compare."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.model_dump(warnings=False) if hasattr(value, "model_dump") else value


@pytest.fixture
def direct(engine: FakeBackend) -> Iterator[openai.OpenAI]:
    with client_of(engine.url) as client:
        yield client


@pytest.fixture
def through(proxy: ProxyProcess) -> Iterator[openai.OpenAI]:
    with client_of(proxy.url) as client:
        yield client


@pytest.fixture
def same(direct: openai.OpenAI, through: openai.OpenAI) -> Same:
    """Runs a call on both clients, fails unless the results are equal, and gives the result."""

    def compare(call: Callable[[openai.OpenAI], Any]) -> Any:
        expected, got = plain(call(direct)), plain(call(through))
        assert got == expected
        return got

    return compare


@pytest.fixture
def same_async(engine: FakeBackend, proxy: ProxyProcess) -> Callable[..., Awaitable[Any]]:
    """As `same`, for the asynchronous client."""

    async def compare(call: Callable[[openai.AsyncOpenAI], Awaitable[Any]]) -> Any:
        results = []
        for url in (engine.url, proxy.url):
            http = openai.DefaultAsyncHttpxClient(verify=False)
            settings = {"base_url": f"{url}/v1", "api_key": KEY, "max_retries": 0, "timeout": 15.0}
            async with openai.AsyncOpenAI(**settings, http_client=http) as client:
                results.append(plain(await call(client)))
        assert results[1] == results[0]
        return results[1]

    return compare


@pytest.fixture
def arrived(engine: FakeBackend) -> Callable[[], tuple[Received, Received]]:
    """The two requests the engine got from `same`: direct, and through the proxy."""

    def last_two() -> tuple[Received, Received]:
        first, second = engine.requests[-2:]
        return first, second

    return last_two
