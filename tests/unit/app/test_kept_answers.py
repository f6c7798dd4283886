"""The cache of answers while configurations come and go."""

import asyncio
from typing import Any

from proxy.app.kept_answers import KeptAnswers
from proxy.config.schema import Config
from proxy.live.tokenizers import Tokenizers


def config(**cache: Any) -> Config:
    return Config.model_validate({"version": 1, "backends": [{"url": "http://127.0.0.1:7"}], "cache": cache})


def kept(**cache: Any) -> KeptAnswers:
    return KeptAnswers(config(**cache), Tokenizers({}), asyncio.get_running_loop())


def put(one: KeptAnswers, **cache: Any) -> None:
    cache_then, commit = one.prepare(config(**cache))
    commit()
    assert one.now is cache_then


async def test_it_comes_stays_and_goes() -> None:
    one = kept()
    assert (one.now, one.versions, one.view()) == (None, None, None)
    put(one, size="1MiB")
    first = one.now
    put(one, size="2MiB", ttl="5s")
    assert one.now is first
    put(one, size="0B")
    assert one.now is None
    await one.close()


async def test_another_second_level_is_another_and_the_same_stays() -> None:
    one = kept(size="1MiB", remote="redis://127.0.0.1:1/0")
    one.start()
    assert one.now is not None
    cache, first = one.now, one.now.remote
    put(one, size="2MiB", remote="redis://127.0.0.1:1/0")
    assert one.now.remote is first
    put(one, size="2MiB", remote="redis://127.0.0.1:1/3")
    second = one.now.remote
    assert second is not first
    assert second is not None
    put(one, size="2MiB", remote="redis://127.0.0.1:1/3", remote_password="x")
    assert one.now.remote not in (first, second)
    put(one, size="2MiB")
    assert (one.now, one.now.remote) == (cache, None)
    one.drain()
    await one.close()


async def test_what_is_prepared_and_not_wanted_changes_nothing() -> None:
    one = kept(size="1MiB")
    before = one.now
    one.prepare(config(size="0B"))
    one.prepare(config(size="2MiB", epoch="x"))
    assert one.now is before
    assert before is not None
    assert before.view().size_b == 1 << 20


async def test_the_second_level_is_there_without_kept_answers_for_who_has_what() -> None:
    one = kept(remote="redis://127.0.0.1:1/0")
    first = one.owners
    assert (one.now, first is None) == (None, False)
    put(one, remote="redis://127.0.0.1:1/0", ttl="5s")
    assert one.owners is first
    put(one, remote="redis://127.0.0.1:1/3")
    second = one.owners
    assert second is not None
    assert second is not first
    put(one, size="1MiB", remote="redis://127.0.0.1:1/3")
    assert one.now is not None
    assert one.now.remote is not None
    assert one.owners is one.now.remote.owners
    put(one, size="0B", remote="redis://127.0.0.1:1/3")
    assert (one.now, one.owners is None) == (None, False)
    put(one)
    assert one.owners is None
    await one.close()
