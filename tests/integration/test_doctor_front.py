"""`tidegate doctor --public` through a real nginx, as it should be and in the ways in which people have it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from proxy.app.doctor.examine import examine
from proxy.app.doctor.front.walk import Front
from proxy.cli.main import main
from proxy.config.loader import load
from proxy.sim.engine.spec import FAST, LOW_LATENCY
from tests.support.certificates import self_signed
from tests.support.live_proxy import Live, SimEngine, running
from tests.support.nginx import RIGHT, free_port, needs_nginx, nginx

pytestmark = needs_nginx
Found = dict[str, str]
KEY = "tg-team-a-secret-1"
KEYS = f"auth: keys\ntenants: [{{tenant: a, keys: ['sha256:{sha256(KEY.encode()).hexdigest()}']}}]\n"


@pytest.fixture
def look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Found]:
    """What is found of the front alone: id → what. The address of the proxy is free: the doctor answers there."""

    def looked(public: str, listen: str, *options: str, more: str = "") -> Found:
        file = tmp_path / "routing.yaml"
        listeners = f"listen: {listen}\n{KEYS}{more}admin: 127.0.0.1:1\n"
        file.write_text(f'version: 1\n{listeners}backends: [{{url: "http://127.0.0.1:2", name: a}}]\n')
        main(["doctor", str(file), "--json", "--public", public, *options])
        told = json.loads(capsys.readouterr().out)
        return {one["id"]: one["what"] for one in told if one["where"] == public}

    return looked


def through(look: Callable[..., Found], location: str, *options: str, **more: str) -> Found:
    listen = f"127.0.0.1:{free_port()}"
    with nginx(listen, location, **more) as public:
        return look(public, listen, *(options or ("--silence", "300ms")))


def without(directive: str) -> str:
    kept = [line for line in RIGHT.splitlines() if directive not in line]
    assert len(kept) < len(RIGHT.splitlines())
    return "\n".join(kept)


def test_one_as_it_should_be(look: Callable[..., Found]) -> None:
    assert list(through(look, RIGHT)) == ["front-seen"]


def test_events_are_gathered(look: Callable[..., Found]) -> None:
    gathers = "proxy_ignore_headers X-Accel-Buffering;"  # and HTTP/1.0 to the proxy, as nginx does unless told
    found = through(look, gathers)
    assert found["front-buffers"].startswith("12 events 0.1 s apart came in ")


def test_buffering_that_our_own_header_switches_off_is_not_told(look: Callable[..., Found]) -> None:
    assert "front-buffers" not in through(look, without("proxy_buffering"))


def test_streams_are_packed(look: Callable[..., Found]) -> None:
    packs = without("gzip") + "gzip on; gzip_min_length 0; gzip_types text/event-stream; gzip_proxied any;"
    assert through(look, packs)["front-packs"] == "streams come as gzip"


def test_a_silence_is_cut(look: Callable[..., Found]) -> None:
    impatient = without("proxy_read_timeout") + "proxy_read_timeout 1s;"
    found = through(look, impatient, "--silence", "3s")
    assert re.fullmatch(r"it ends a stream after \d\.\d s of silence", found["front-cuts"])


def test_what_nginx_does_when_nothing_is_said(look: Callable[..., Found]) -> None:
    found = through(look, "", largest="1m")
    assert {"front-http-1.0", "front-size"} <= set(found)
    assert found["front-size"] == "it refuses bodies of 32 MiB, which the proxy takes (limits.body.size)"


def test_each_request_asks_for_a_web_socket(look: Callable[..., Found]) -> None:
    asks = without("Connection") + 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
    assert "front-upgrades" in through(look, asks)


def test_a_connection_for_each_request(look: Callable[..., Found]) -> None:
    assert "front-closes" in through(look, without("Connection"))


def test_headers_that_do_not_arrive(look: Callable[..., Found]) -> None:
    eats = (
        'proxy_set_header Authorization ""; proxy_set_header x-tidegate-class ""; proxy_hide_header x-tidegate-route;'
    )
    found = through(look, RIGHT + eats)
    assert found["front-eats-key"] == "authorization: not there any more"
    assert found["front-eats-headers"].startswith("x-tidegate-class:")
    assert found["front-eats-answers"].startswith("x-tidegate-route:")


def test_a_request_gets_another_name(look: Callable[..., Found]) -> None:
    found = through(look, RIGHT + "proxy_set_header X-Request-Id $request_id;")
    assert found["front-eats-headers"] == "x-request-id arrives as another one"


def test_errors_of_its_own(look: Callable[..., Found]) -> None:
    pages = "proxy_intercept_errors on; error_page 503 =502 /sorry;"
    found = through(look, RIGHT + pages, server="location = /sorry { internal; return 502 sorry; }")
    assert found["front-replaces-errors"] == "a 503 of the proxy comes back as 502"


def test_the_path_is_changed(look: Callable[..., Found]) -> None:
    found = through(look, RIGHT, path="/llm/")
    assert found["front-path"] == "/v1/chat/completions arrives as /llm/v1/chat/completions"


def test_it_does_not_tell_that_a_client_left(look: Callable[..., Found]) -> None:
    assert "front-hides-leaving" in through(look, RIGHT + "proxy_ignore_client_abort on;")


def test_it_leads_elsewhere_or_is_not_there(look: Callable[..., Found]) -> None:
    listen = f"127.0.0.1:{free_port()}"
    with nginx(f"127.0.0.1:{free_port()}") as public:
        assert look(public, listen) == {"front-elsewhere": f"it answers 502, and nothing arrives at {listen}"}
    assert look(public, listen) == {"front-away": "cannot be reached: it refuses"}


def test_it_asks_for_a_password_itself(look: Callable[..., Found], tmp_path: Path) -> None:
    (tmp_path / "users").write_text("nobody:x\n")
    found = through(look, RIGHT + f"auth_basic on; auth_basic_user_file {tmp_path}/users;")
    assert list(found) == ["front-refuses"]


def test_an_address_of_another_machine(look: Callable[..., Found]) -> None:
    with nginx("127.0.0.1:1") as public:
        found = look(public, "192.0.2.1:8080")
    assert "ask on the proxy's own machine" in found["front-not-looked-at"]


def test_tls_at_both_ends(look: Callable[..., Found], tmp_path: Path) -> None:
    own, listen = self_signed(tmp_path, "own", "own", "IP:127.0.0.1"), f"127.0.0.1:{free_port()}"
    more = f"tls: {{cert: '{own.path}', key: '{own.key}'}}\n"
    with nginx(listen, RIGHT, scheme="https", certificate=own) as public:
        assert look(public, listen, more=more)["front-away"].startswith("TLS: self-signed certificate")
        assert list(look(public, listen, "--insecure", "--silence", "300ms", more=more)) == ["front-seen"]
        assert list(look(public, listen, "--insecure")) == ["front-elsewhere"], "plain HTTP where TLS is spoken to"


# --- a proxy runs

SLOW = SimEngine("a", spec=replace(LOW_LATENCY, step_s=0.05))


@asynccontextmanager
async def found_before(
    tmp_path: Path, location: str, key: str = "", more: str = "", engine: SimEngine = SLOW, **of_nginx: str
) -> AsyncIterator[tuple[Found, Live]]:
    """What the doctor says of an nginx before a running proxy."""
    async with running(tmp_path, more, (engine,)) as live:
        at = live.proxy.listen_url.removeprefix("http://")
        config = load(live.file, {}).config
        assert config is not None
        with nginx(at, location, **of_nginx) as public:
            looked_at = config.model_copy(update={"listen": at})
            found = await asyncio.to_thread(examine, looked_at, Front(public, key=key))
            assert KEY not in str(found)
            yield {one.id: one.what for one in found if one.where == public}, live


async def test_a_running_proxy_costs_two_short_streams(tmp_path: Path) -> None:
    async with found_before(tmp_path, RIGHT, KEY, KEYS) as (found, live):
        assert list(found) == ["front-seen"]
        asked = [one for one in live.sims["a"].recorder.as_json() if one["method"] == "POST"]
        assert len(asked) == 2
        assert "tidegate-doctor" in json.dumps(asked)


async def test_before_a_running_proxy_events_are_gathered(tmp_path: Path) -> None:
    async with found_before(tmp_path, "proxy_ignore_headers X-Accel-Buffering;") as (found, _):
        assert "at the proxy itself in" in found["front-buffers"]


async def test_beside_a_running_proxy_the_doctor_answers_where_it_is_told(
    tmp_path: Path, look: Callable[..., Found]
) -> None:
    async with running(tmp_path, "", (SLOW,)) as live:
        at, own = live.proxy.listen_url.removeprefix("http://"), f"127.0.0.1:{free_port()}"
        with nginx(own) as public:
            found = await asyncio.to_thread(look, public, at, "--listen", own, "--silence", "300ms")
            taken = await asyncio.to_thread(look, public, at, "--listen", at)
        assert list(found) == ["front-seen"]
        assert list(taken) == ["front-not-looked-at"]
        assert not [one for one in live.sims["a"].recorder.as_json() if one["method"] == "POST"]


async def test_before_a_running_proxy_keys_do_not_arrive(tmp_path: Path) -> None:
    async with found_before(tmp_path, RIGHT + 'proxy_set_header Authorization "";', KEY, KEYS) as (found, _):
        assert found["front-eats-key"].startswith("the same key: 200 at 127.0.0.1:")


async def test_a_running_proxy_whose_key_is_not_told(tmp_path: Path) -> None:
    async with found_before(tmp_path, RIGHT + "proxy_hide_header x-tidegate-route;", "", KEYS, largest="1m") as (
        found,
        live,
    ):
        assert list(found) == ["front-size", "front-no-key", "front-eats-answers"]
        assert not [one for one in live.sims["a"].recorder.as_json() if one["method"] == "POST"]


async def test_before_a_running_proxy_errors_are_replaced(tmp_path: Path) -> None:
    pages = "proxy_intercept_errors on; error_page 404 /sorry;"
    sorry = "location = /sorry { internal; return 200 sorry; }"
    async with found_before(tmp_path, RIGHT + pages, server=sorry) as (found, _):
        assert found["front-replaces-errors"].startswith("an error 404 of the proxy comes back ")


async def test_an_engine_that_is_too_fast_to_tell(tmp_path: Path) -> None:
    async with found_before(tmp_path, RIGHT, engine=SimEngine("a", spec=FAST)) as (found, _):
        assert list(found) == ["front-too-fast"]
