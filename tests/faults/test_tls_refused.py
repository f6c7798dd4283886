"""A certificate that is refused: log and answer say whose it is, what is wrong, and what to do; nothing is sent."""

import pytest

from tests.faults.asking import PATH, chat
from tests.support.bed import backend_entry
from tests.support.certificates import Authority
from tests.support.patience import eventually
from tests.support.proxy_process import running_proxy

CASES = {
    "expired": ("IP:127.0.0.1", "20210203000000Z", "expired on Feb  3 00:00:00 2021 GMT", True),
    "another name": ("DNS:engine.test", "20690101000000Z", "is for engine.test, not for 127.0.0.1", True),
    "an unknown issuer": ("IP:127.0.0.1", "20690101000000Z", "is issued by Test Authority, unknown here", False),
}


@pytest.mark.parametrize(("names", "ends", "says", "known"), CASES.values(), ids=CASES.keys())
def test_a_refused_certificate_says_why(bed, start_backend, tmp_path, names, ends, says, known):
    authority = Authority(tmp_path)
    shown = authority.certificate("engine", names, "20200101000000Z", ends)
    engine = start_backend(tls=shown.server_context())
    tls = {"tls": {"ca_file": str(authority.own.path)}} if known else {}
    entry = backend_entry(engine, "alpha", models=["fake-model"], **tls)
    config = {"backends": [entry], "health": {"probe_interval": "60s"}}
    with running_proxy(config, nursery=bed.nursery) as proxy:
        answer = proxy.ask("POST", PATH, chat(False))
        assert answer.status == 502, "at once: no waiting mends a certificate"
        assert answer.head.get("x-should-retry") == "false"
        assert says in answer.error["message"]
        line = eventually(lambda: next((line for line in proxy.stderr if "is down" in line), None), "a log line")
        assert says in line
        assert not engine.requests
