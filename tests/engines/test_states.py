"""An engine that sleeps, or has more to do than it has places."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from tests.engines.kinds import MODEL, EngineKind
from tests.engines.pair import Pair, assert_at_rest, client_of
from tests.engines.process import running
from tests.support.patience import eventually, never
from tests.support.proxy_process import ready, running_proxy

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("offered")]
AT_ONCE = 14
SEEN_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def strict(kind: EngineKind) -> Iterator[Pair]:
    """An engine that sleeps soon, or whose queue is short, where it can be told so."""
    with (
        running(kind.start(*kind.usual, *kind.strict)) as server,
        running_proxy({"backends": [{"url": server.url}]}) as proxy,
    ):
        ready(proxy, models=1)
        yield Pair(kind, server, proxy)


def is_known_asleep(pair: Pair) -> bool:
    (backend,) = pair.proxy.admin("/backends").json()["backends"].values()
    return bool(backend["asleep"] or backend["engine"]["unloaded"])


def answer(pair: Pair) -> str:
    with client_of(pair.proxy.url) as client:
        return client.chat.completions.create(**pair.chat(max_tokens=4)).choices[0].message.content or ""


@pytest.mark.case("more than its places")
def test_all_are_served(pair: Pair) -> None:
    with client_of(pair.proxy.url) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda _: client.chat.completions.create(**pair.chat(max_tokens=8)), range(AT_ONCE)))
    assert {answer.choices[0].message.content for answer in answers} == {answers[0].choices[0].message.content}
    assert_at_rest(pair.proxy)


@pytest.mark.case("queue full")
def test_what_it_refuses_waits(strict: Pair) -> None:
    """It says 503 and no `Retry-After`; clients see neither."""
    call = strict.chat(max_tokens=24)
    with client_of(strict.server.url) as direct, ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(lambda _: refused(direct, call), range(AT_ONCE)))
    assert any(told), "direct some are refused"
    with client_of(strict.proxy.url) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        told = list(pool.map(lambda _: refused(client, call), range(AT_ONCE)))
    assert not any(told), "through the proxy none is"
    assert_at_rest(strict.proxy)


def refused(client: openai.OpenAI, call: dict) -> bool:
    try:
        return not client.chat.completions.create(**call).choices
    except openai.InternalServerError:
        return True


@pytest.mark.case("asleep")
def test_it_is_left_asleep_and_served_again(strict: Pair) -> None:
    """llama-server wakes for a request; vLLM would swallow it, and gets it when it is woken."""
    assert answer(strict)
    wakes_itself = strict.server.kind == "llama_cpp"
    if not wakes_itself:
        post(strict, "/sleep?level=1")
    eventually(lambda: is_asleep(strict), "asleep", SEEN_WITHIN_S)
    eventually(lambda: is_known_asleep(strict), "known to sleep", SEEN_WITHIN_S)
    never(lambda: not is_asleep(strict), "woken by nobody's request", 5.0)
    told: list[str] = []
    asking = threading.Thread(target=lambda: told.append(answer(strict)))
    asking.start()
    if not wakes_itself:
        never(lambda: strict.server.jobs() > 0, "sent to an engine that sleeps", 2.0)
        post(strict, "/wake_up")
    asking.join(SEEN_WITHIN_S)
    assert told == [told[0]] != [""]


def is_asleep(pair: Pair) -> bool:
    path = "/props" if pair.server.kind == "llama_cpp" else "/is_sleeping"
    return bool(json.loads(pair.server.get(path))["is_sleeping"])


def post(pair: Pair, path: str) -> None:
    request = urllib.request.Request(pair.server.url + path, method="POST")
    with urllib.request.urlopen(request, timeout=10.0) as done:
        assert done.status == 200


def test_the_model_is_listed_meanwhile(strict: Pair) -> None:
    with client_of(strict.proxy.url) as client:
        assert [model.id for model in client.models.list()] == [MODEL]
