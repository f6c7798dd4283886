"""Real llama-servers with a proxy in front, for the length of the session, and official clients to both."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.engines import cache
from tests.engines.llama_server import Engine, LlamaServer, running_server
from tests.support.patience import eventually
from tests.support.proxy_process import Config, ProxyProcess, ready, running_proxy

TEXT, EMBED = "tiny", "tiny-embed"
Same = Callable[..., Any]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies in this folder talks to a real engine."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.engines)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """llama.cpp's server: the program where it was built, else the one out of a wheel."""
    return Engine.of(cache.need("llama-server", "xllamacpp"))


@pytest.fixture(scope="session")
def text_server(engine: Engine) -> Iterator[LlamaServer]:
    with running_server(engine, TEXT) as server:
        yield server


@pytest.fixture(scope="session")
def embed_server(engine: Engine) -> Iterator[LlamaServer]:
    with running_server(engine, EMBED, "--embeddings", "--pooling", "mean") as server:
        yield server


def config_for(*servers: LlamaServer) -> Config:
    """Nothing but the addresses: kind and models are to be found out."""
    return {"backends": [{"name": server.alias, "url": server.url} for server in servers]}


@pytest.fixture(scope="session")
def proxy(text_server: LlamaServer, embed_server: LlamaServer) -> Iterator[ProxyProcess]:
    """One proxy in front of both."""
    with running_proxy(config_for(text_server, embed_server)) as proxy:
        ready(proxy, models=2)
        yield proxy


@pytest.fixture(autouse=True)
def leak_probe(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test that used the session's proxy nothing is in flight or held any more."""
    yield
    if "proxy" in request.fixturenames:
        assert_at_rest(request.getfixturevalue("proxy"))


def assert_at_rest(proxy: ProxyProcess) -> None:
    """Every permit is back and nothing waits."""

    def at_rest() -> bool:
        metrics = proxy.metrics()
        return metrics.total("tidegate_backend_in_flight") == 0 == metrics.total("tidegate_held_jobs")

    eventually(at_rest, "no permit out, nothing held")


def client_of(url: str) -> openai.OpenAI:
    """An official client that does not retry, so that every failure shows."""
    return openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test-0123456789", max_retries=0, timeout=60.0)


@pytest.fixture
def through(proxy: ProxyProcess) -> Iterator[openai.OpenAI]:
    with client_of(proxy.url) as client:
        yield client


@pytest.fixture
def same(text_server: LlamaServer, embed_server: LlamaServer, through: openai.OpenAI) -> Same:
    """Runs a call direct and through the proxy, fails unless the results are equal, and gives the result."""
    servers = {TEXT: text_server, EMBED: embed_server}

    def compare(call: Callable[[openai.OpenAI], Any], model: str = TEXT) -> Any:
        with client_of(servers[model].url) as direct:
            expected = comparable(call(direct))
        got = comparable(call(through))
        assert got == expected
        return got

    return compare


# What differs from one answer to the next whoever asks: names, clocks, and what other requests left in the engine.
_VARYING = frozenset({"id", "item_id", "created", "created_at", "completed_at", "timings"})


def comparable(value: Any) -> Any:
    """A result as plain values, with what varies between two equal calls replaced by its type."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(warnings=False)
    if isinstance(value, list | tuple):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return {key: type(item).__name__ if key in _VARYING else comparable(item) for key, item in value.items()}
    return value
