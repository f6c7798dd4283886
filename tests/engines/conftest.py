"""Real llama-servers with a proxy in front, for the length of the session, and official clients to both."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.engines import cache
from tests.engines.kinds import KINDS, EngineKind
from tests.engines.llama_server import Engine, LlamaServer, running_server
from tests.engines.pair import Pair, assert_at_rest, client_of, comparable
from tests.engines.process import EngineProcess, running
from tests.engines.results import VARIABLE, Results, versions
from tests.support.proxy_process import Config, ProxyProcess, ready, running_proxy

TEXT, EMBED = "tiny", "tiny-embed"
Same = Callable[..., Any]


RESULTS = Results()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[pytest.TestReport]:
    report: pytest.TestReport = yield
    RESULTS.note(item, report)
    if report.failed:
        for told in getattr(item, "funcargs", {}).values():
            for engine in engines_of(told):
                report.sections.append((f"what {engine.kind} said last", engine.log_tail()))
    return report


def engines_of(value: object) -> list[EngineProcess]:
    """The engines that a fixture gave to a test."""
    if isinstance(value, Pair):
        return [value.server]
    return [value] if isinstance(value, EngineProcess) else []


def pytest_sessionfinish() -> None:
    RESULTS.write(versions())


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
    for name in ("pair", "embedding_pair"):
        if name in request.fixturenames and name in request.node.funcargs:
            assert_at_rest(request.node.funcargs[name].proxy)


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


# -- the same tests for every engine -----------------------------------------------------------------------------------


@pytest.fixture(scope="session", params=KINDS)
def kind(request: pytest.FixtureRequest) -> EngineKind:
    """Each engine in its turn; skips those that are not there, and a second llama.cpp unless results are kept."""
    if request.param == "xllamacpp" and cache.is_there("llama-server") and VARIABLE not in os.environ:
        pytest.skip("llama-server is there, the same server")
    return KINDS[cache.need(request.param)]


@pytest.fixture
def offered(kind: EngineKind, request: pytest.FixtureRequest) -> None:
    """Skips a test whose case this engine does not offer."""
    marker = request.node.get_closest_marker("case")
    if marker is not None and marker.args[0] in kind.lacks:
        pytest.skip(kind.lacks[marker.args[0]])


@pytest.fixture(scope="session")
def pair(kind: EngineKind) -> Iterator[Pair]:
    """The engine of this turn and a proxy in front of it."""
    with running(kind.start(*kind.usual)) as server, running_proxy({"backends": [{"url": server.url}]}) as proxy:
        ready(proxy, models=1)
        yield Pair(kind, server, proxy)


@pytest.fixture(scope="session")
def embedding_pair(kind: EngineKind) -> Iterator[Pair]:
    """The same for embeddings, where the engine has them."""
    if kind.embeds is None:
        pytest.skip(kind.lacks["embeddings"])
    with running(kind.start(*kind.embeds)) as server, running_proxy({"backends": [{"url": server.url}]}) as proxy:
        ready(proxy, models=1)
        yield Pair(kind, server, proxy)
