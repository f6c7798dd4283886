"""Any order of anything: clients, engines and pauses do at random what each may do, and all comes to rest.

A state machine (hypothesis) over a live proxy before engines that are scripted. After each example: descriptors,
connections, permits, held jobs and tasks as before; every request that was read ended exactly once; nothing is our own
500, and nothing is written that says "bug". `TIDEGATE_SOAK=full`: more and longer examples, other ones each time.
"""

import asyncio
import os
import signal
import time
from collections import Counter

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.soak.guest import Guest, numbers, request
from tests.support.bed import backend_entry
from tests.support.engine_scripts import begin_stream, hang, raw
from tests.support.fake_engine import chat_chunk, event
from tests.support.http_bytes import chunk
from tests.support.leak_probe import LeakProbe
from tests.support.patience import eventually
from tests.support.proxy_process import assert_clean
from tests.support.raw_engine import JSON_HEAD, STREAM_HEAD, raw_engine

pytestmark = pytest.mark.slow
FULL = os.environ.get("TIDEGATE_SOAK") == "full"
SETTINGS = settings(
    max_examples=100 if FULL else 15,
    stateful_step_count=60 if FULL else 30,
    derandomize=not FULL,
    phases=[Phase.generate],  # a run is of a machine that goes on: nothing shrinks
)
REST_S = 10.0
QUICK = {
    "classes": [
        {"name": "hedged", "hedge": {"after": "30ms", "budget": "50%"}},
        {"name": "resumed", "stream": {"resume": True, "granularity": "token", "pace": "smooth"}},
        {"name": "pinging", "stream": {"ping": "20ms"}},
        {"name": "dying", "slo": {"deadline": "100ms"}},
    ],
    "limits": {
        "head": {"timeout": "500ms"},
        "body": {"stall": "500ms"},
        "connections": {"write_stall": "500ms"},
        "upstream": {"connect": "300ms", "first_byte": "700ms", "idle": "500ms"},
    },
    "hold": {"max_wait": "500ms", "min_jobs": 4},
    "health": {"probe_interval": "2s", "probe_timeout": "500ms", "eject": "200ms"},
}
"""Whatever waits, waits half a second. Each probe leaves a connection: more of them would blur what is at rest."""
NONSENSE = {
    "junk": b"SSH-2.0-OpenSSH_9.6\r\n",
    "two-answers": 2 * b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "bad-chunk": STREAM_HEAD + chunk(event(chat_chunk({"content": "a"}))) + b"zz\r\n",
    "bad-status": b"HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
    "no-event": STREAM_HEAD + chunk(b"data: {broken\n\n") + b"0\r\n\r\n",
    "error-event": STREAM_HEAD
    + chunk(event({"error": {"message": "no", "type": "overloaded", "code": 503}}))
    + b"0\r\n\r\n",
    "interim": 50 * b"HTTP/1.1 102 Processing\r\n\r\n",
    "false-gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nplain"[:-1],
    "until-close": b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}",
}
WAYS = [
    *["fine"] * 4,
    *("hang", "slow 0.05", "slow 0.3", "reset", "close", "slow-reset 0.05", "flood"),
    *(
        "status 400 bad",
        "status 429 busy",
        "status 503 full",
        "slow-status 0.05 529 full",
        "redirect http://127.0.0.1:1",
    ),
    *(f"stream-then 3 {end}" for end in ("hang", "reset", "close", "end", "error")),
    *(f"body-then {end}" for end in ("hang", "reset", "close")),
    *("stream 30 0.01", "stream 5 0.1", *NONSENSE),
]

COMERS = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["fake-model"] * 4 + ["early", "nobody"]),
        "way": st.sampled_from(WAYS),
        "stream": st.booleans(),
        "size": st.sampled_from(["small"] * 6 + ["large", "off-loop"]),
        "form": st.sampled_from(["length"] * 4 + ["chunked", "gzip", "1.0"]),
        "traffic_class": st.sampled_from(["interactive", "hedged", "resumed", "pinging", "dying", "bulk"]),
        "cut": st.sampled_from([1.0] * 4 + [0.01, 0.3, 0.7, 0.99]),
        "receive_b": st.sampled_from([None, 4096]),
    }
)


async def flood(exchange):
    """Events without an end, as fast as they are taken."""
    await begin_stream(exchange)
    while True:
        await exchange.send(chunk(event(chat_chunk({"content": "x" * 8000}))))


async def early(head, reader, writer):
    """An engine that answers before it has read the request, and then reads it or not."""
    body = b'{"object":"chat.completion","choices":[]}'
    writer.write(JSON_HEAD % len(body) + body)
    if b"x-fake: close" in head.lower():
        raise ConnectionError
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    await asyncio.wait_for(reader.readexactly(length), 5.0)


class World:
    """What lives through all examples."""

    def __init__(self, proxy, engines, probe):
        self.proxy, self.engines, self.probe = proxy, engines, probe
        self.numbers = numbers()
        self.may_have_ended = set()
        """Requests that were begun."""

    def rest(self):
        """Everything as before the example, and every request accounted for."""
        for engine in self.engines:
            engine.stop()
            engine.start()
            engine.forget()
        self.probe.assert_settled(REST_S)
        metrics = self.proxy.metrics()
        for name in ("held_bytes", "hedging_jobs", "backfill_jobs", "client_connections"):
            assert metrics.total(f"tidegate_{name}") == 0, name
        assert metrics.total("tidegate_requests_total", status="500") == 0
        assert metrics.total("tidegate_faults_total", kind="bug") == 0
        assert_clean(self.proxy)
        assert "bug" not in self.proxy.error_text, self.proxy.error_text

    def account(self, guests):
        """Offered = served + shed + failed + cancelled, each exactly once."""
        surely = {name for guest in guests for name in guest.surely_served}
        eventually(lambda: surely <= set(self.ended), "a log line of each request that got an answer")
        assert not [name for name, times in self.ended.items() if times > 1]
        strange = set(self.ended) - self.may_have_ended
        assert not strange, [line for line in self.proxy.log if line["id"] in strange]

    @property
    def ended(self):
        """Requests of guests that ended, and how often."""
        return Counter(line["id"] for line in self.proxy.log if line["id"].startswith("life-"))


class Life(RuleBasedStateMachine):
    """One example."""

    def __init__(self, world):
        super().__init__()
        self.world = world
        self.guests = []
        self.stood_still = False

    def present(self):
        return [guest for guest in self.guests if not guest.is_gone]

    def one(self, pick):
        """Some guest who is still there."""
        present = self.present()
        return present[pick % len(present)]

    # clients

    @rule(comers=st.lists(COMERS, min_size=1, max_size=4))
    def come(self, comers):
        for comer in comers:
            asked = dict(comer)
            guest = Guest(self.world.proxy.address, self.world.numbers, asked.pop("receive_b"))
            self.guests.append(guest)
            self._say(guest, **asked)

    @precondition(lambda self: self.present())
    @rule(pick=st.integers(0, 99), way=st.sampled_from(WAYS), stream=st.booleans())
    def ask_behind(self, pick, way, stream):
        """Pipelined, or on a connection that was kept."""
        usual = {"size": "small", "form": "length", "traffic_class": "interactive"}
        self.one(pick).say_the_rest()
        self._say(self.one(pick), 1.0, model="fake-model", way=way, stream=stream, **usual)

    def _say(self, guest, cut, model, way, **asked):
        way = "" if way == "fine" else way
        asking = request(self.world.numbers, model, way, **asked)
        self.world.may_have_ended.add(asking[0])
        guest.say(asking, cut)

    @precondition(lambda self: self.present())
    @rule(pick=st.integers(0, 99))
    def say_the_rest(self, pick):
        self.one(pick).say_the_rest()

    @precondition(lambda self: self.present())
    @rule(pick=st.integers(0, 99), most_b=st.sampled_from([1, 1000, 1 << 16]))
    def read(self, pick, most_b):
        self.one(pick).read(most_b)

    @precondition(lambda self: self.present())
    @rule(pick=st.integers(0, 99), way=st.sampled_from(["close", "reset", "half_close"]))
    def leave(self, pick, way):
        self.one(pick).leave(way)

    # engines

    @precondition(lambda self: self.present())
    @rule(which=st.integers(0, 1))
    def engine_dies(self, which):
        self.world.engines[which].stop()

    @precondition(lambda self: self.present())
    @rule(which=st.integers(0, 1))
    def engine_comes_back(self, which):
        self.world.engines[which].stop()
        self.world.engines[which].start()

    @precondition(lambda self: self.present())
    @rule(which=st.integers(0, 1))
    def engine_drops_its_connections(self, which):
        self.world.engines[which].drop_connections()

    # time

    @precondition(lambda self: self.present())
    @rule(seconds=st.sampled_from([0.0, 0.005, 0.02, 0.1]))
    def time_passes(self, seconds):
        time.sleep(seconds)

    @precondition(lambda self: self.present() and not self.stood_still)
    @rule(seconds=st.sampled_from([0.02, 0.1, 0.7]))
    def proxy_stands_still(self, seconds):
        """Once: it is a long time."""
        self.stood_still = True
        self.world.proxy.process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self.world.proxy.process.send_signal(signal.SIGCONT)

    def teardown(self):
        for guest in self.present():
            guest.leave("close")
        self.world.rest()
        for guest in self.guests:
            guest.close()
        self.world.account(self.guests)


def test_everything_comes_to_rest(bed):
    with bed.backend() as one, bed.backend() as two, raw_engine(bed.loop, early) as three:
        for engine in (one, two):
            engine.scripts |= {name: raw(data, then=hang) for name, data in NONSENSE.items()}
            engine.scripts |= {"flood": flood}
        entries = [backend_entry(engine, name, max_concurrency=2) for engine, name in ((one, "one"), (two, "two"))]
        entries.append({"name": "early", "url": three.url, "models": ["early"]})
        with bed.proxy({"backends": entries, **QUICK}, models=2) as proxy:
            world = World(proxy, [one, two], LeakProbe(proxy, [one, two, three]))
            run_state_machine_as_test(lambda: Life(world), settings=SETTINGS)
