"""Sends one case and checks everything its file expects. One small check per expectation."""

import re
import time
from pathlib import Path

from tests.support.engine_scripts import SCRIPTS, raw
from tests.support.fake_backend import FakeBackend
from tests.support.http_bytes import BadMessageError
from tests.support.patience import eventually
from tests.support.proxy_process import ProxyProcess
from tests.support.raw_client import RawAnswer, RawConnection
from tests.wire_corpus.case_files import CANARY, GOOD_CHAT, Case

_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_MIB = 1 << 20


class Attempt:
    """One case against one proxy and its engine."""

    def __init__(self, case: Case, proxy: ProxyProcess, engine: FakeBackend) -> None:
        self.case, self.expect = case, case.expect
        self.proxy, self.engine = proxy, engine
        self.answers: list[RawAnswer] = []

    def run(self) -> None:
        """Sends, reads, checks."""
        self._script_engine()
        data = self.case.request()
        rss_b, peak_b, lines = self.proxy.rss_b(), peak_rss_b(self.proxy), len(self.proxy.stderr)
        started = time.monotonic()
        with self.proxy.connect() as connection:
            self._send(connection, data)
            self._read(connection)
            self._check_closed(connection)
        assert time.monotonic() - started < self.expect.within_s
        for check in (
            self._check_meaning,
            self._check_text,
            self._check_answer_headers,
            self._check_upstream,
            self._check_log,
        ):
            check()
        self._check_memory(rss_b, peak_b)
        if self.expect.max_output_lines is not None:
            assert len(self.proxy.stderr) - lines <= self.expect.max_output_lines

    # sending and reading

    def _script_engine(self) -> None:
        data = self.case.engine_bytes()
        if data is not None:
            then = self.case.spec.get("engine_then")
            self.engine.scripts["case"] = raw(data, then=SCRIPTS[then] if then else None)

    def _send(self, connection: RawConnection, data: bytes) -> None:
        spec = self.case.spec
        if "drip_s" in spec:
            connection.drip(data, 1, spec["drip_s"])
        elif "drip_body_s" in spec:
            head, end, body = data.partition(b"\r\n\r\n")
            connection.send(head + end)
            connection.drip(body, 1, spec["drip_body_s"])
        else:
            connection.send(data)
        if self.case.spec.get("half_close"):
            connection.half_close()

    def _read(self, connection: RawConnection) -> None:
        for number, accepted in enumerate(self.expect.sequence):
            try:
                answer = connection.answer(to_head=self.expect.head, deadline_s=self.expect.within_s)
            except BadMessageError:
                assert self.expect.no_answer, f"{self.case.id}: closed without answer {number + 1}"
                return
            assert answer.status in accepted, (self.case.id, answer.status, answer.body[:300])
            assert answer.complete
            self.answers.append(answer)

    def _check_closed(self, connection: RawConnection) -> None:
        if self.expect.closed is True and self.expect.last_answer == "any":
            while connection.read_some(self.expect.within_s):
                pass
        elif self.expect.closed is True:
            assert connection.closed_within(3.0), "the connection stayed open"
        elif self.expect.closed is False:
            assert not connection.closed_within(0.05), "the connection was closed"

    # checking

    def _check_meaning(self) -> None:
        for answer in self.answers:
            if answer.status >= 400 and self.expect.envelope is True:
                error = answer.error
                assert CANARY not in answer.body.decode("utf-8", "replace")
                assert len(error["message"]) < 400
                assert answer.head.get("x-request-id")
        last = self.answers[-1] if self.answers else None
        if last is not None and self.expect.param not in (None, "any"):
            assert last.error["param"] == self.expect.param
        if last is not None and self.expect.code is not None:
            assert last.error["code"] == self.expect.code

    def _check_text(self) -> None:
        expect = self.expect
        wanted = (expect.answer_is, expect.answer_contains, expect.answer_ends_with, expect.answer_lacks)
        if not any(wanted):
            return
        text = self.answers[-1].body.decode("latin-1")
        if expect.answer_is is not None:
            assert text == expect.answer_is
        assert (expect.answer_contains or "") in text
        assert text.endswith(expect.answer_ends_with or "")
        if expect.answer_lacks is not None:
            head = self.answers[-1].head
            assert expect.answer_lacks not in text + head.start + repr(head.fields)

    def _check_answer_headers(self) -> None:
        if not self.answers:
            return
        head = self.answers[-1].head
        for name in self.expect.answer_lacks_headers:
            assert head.get(name) is None, name
        if self.expect.request_id == "new":
            assert _SANE_ID.fullmatch(head.get("x-request-id") or "")
        if self.expect.cors == "safe":
            credentials = head.get("access-control-allow-credentials")
            assert not (head.get("access-control-allow-origin") == "*" and credentials)

    def _check_upstream(self) -> None:
        expect, requests = self.expect, self.engine.requests
        if expect.upstream != "any":
            assert len(requests) == expect.upstream, [request.raw_head[:200] for request in requests]
        for request in requests:
            for name in expect.upstream_lacks:
                assert request.header(name) is None, name
            for name, value in expect.upstream_keeps.items():
                assert request.head.all(name) == [value]
        if expect.upstream_body == "same":
            assert requests[-1].body == self.case.body()
        if expect.engine_connection == "not_reused":
            used = {request.connection for request in requests}
            self._assert_good()
            assert self.engine.requests[-1].connection not in used

    def _check_log(self) -> None:
        if self.expect.log:
            line = self.proxy.log_line(self.answers[-1].head.get("x-request-id") or "")
            assert self.expect.log.items() <= line.items()
        if self.expect.label_other:
            text = self.proxy.metrics().text
            assert "evil" not in text
            assert "../x" not in text

    def _check_memory(self, rss_b: int, peak_b: int) -> None:
        if self.expect.max_growth_mib is not None:
            limit_b = rss_b + self.expect.max_growth_mib * _MIB
            eventually(lambda: self.proxy.rss_b() <= limit_b, f"RSS below {limit_b >> 20} MiB", 2.0)
        if self.expect.max_peak_growth_mib is not None:
            assert peak_rss_b(self.proxy) - max(peak_b, rss_b) <= self.expect.max_peak_growth_mib * _MIB

    def _assert_good(self) -> None:
        assert_good(self.proxy)


def peak_rss_b(proxy: ProxyProcess) -> int:
    """The largest resident memory so far."""
    status = Path(f"/proc/{proxy.process.pid}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) * 1024


def assert_good(proxy: ProxyProcess) -> None:
    """A good request on a new connection works."""
    answer = proxy.ask("POST", "/v1/chat/completions", GOOD_CHAT)
    assert answer.status == 200
    assert answer.json()["choices"]


def assert_output_is_clean(proxy: ProxyProcess) -> None:
    """No traceback, no byte of an attacker, no key and no prompt in anything the proxy wrote."""
    text = "\n".join([*proxy.stderr, *proxy.other_stdout, *map(repr, proxy.log)])
    assert "Traceback" not in text
    assert CANARY not in text
    assert not proxy.other_stdout
    assert all(line.isascii() and line.isprintable() for line in proxy.stderr)
