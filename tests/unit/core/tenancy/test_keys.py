"""Which key is whose."""

import random
import time
from hashlib import sha256
from math import inf

from proxy.config.plain import read
from proxy.core.tenancy.keys import Holder, KeyTable
from proxy.model.tenants import KeySettings, TenantSettings

LOOKUP_S = 10e-6
"""What a look-up may take among ten thousand keys."""


def digest(key: str) -> bytes:
    return sha256(key.encode()).digest()


def test_each_key_has_its_holder() -> None:
    keys = [{"digest": digest("1").hex(), "id": "ci", "expires": "1970-01-02"}, digest("2").hex()]
    entries = [{"tenant": "a", "keys": keys}, {"tenant": "b", "keys": [digest("3").hex().upper()]}, {"tenant": "*"}]
    table = KeyTable([read(TenantSettings, entry) for entry in entries])
    assert len(table) == 3
    assert table.find(digest("1")) == Holder("a", "ci", 86400.0)
    assert table.find(digest("2")) == Holder("a", "", inf)
    assert table.find(digest("3")) == Holder("b", "", inf)
    assert table.find(digest("4")) is None
    assert len(KeyTable()) == 0


def test_ten_thousand_keys_are_no_reason_to_wait() -> None:
    entries = [
        TenantSettings(
            tenant=f"t{t}",
            keys=tuple(KeySettings(digest="sha256:" + digest(f"tg-{t}-{k}").hex()) for k in range(100)),
        )
        for t in range(100)
    ]
    table = KeyTable(entries)
    assert len(table) == 10_000
    asked = [f"tg-{random.randrange(200)}-{random.randrange(100)}".encode() for _ in range(2000)]

    def once() -> float:
        start = time.perf_counter()
        for key in asked:
            table.find(sha256(key).digest())
        return (time.perf_counter() - start) / len(asked)

    assert min(once() for _ in range(10)) < LOOKUP_S
