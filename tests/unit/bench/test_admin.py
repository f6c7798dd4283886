"""The admin port of the proxy that is measured, and what is said where it does not do what is needed."""

import json

import pytest

from proxy.bench.admin import Admin, AdminError, admin_of
from tests.unit.bench.servers import scripted, whole


def told(fields: object, status: int = 200) -> list[bytes | float | None]:
    return [whole(json.dumps(fields).encode(), status)]


async def test_questions_and_their_key() -> None:
    async with scripted(told({"hash": "abc"}), told({"hash": "abc", "restart_needed": []}), told({})) as server:
        admin = Admin(server.url, {"x-tidegate-admin-key": "k"})
        assert (await admin.config())["hash"] == "abc"
        assert await admin.reload() == "abc"
        assert await admin.empty_cache()
    assert server.requests[1].startswith(b"POST /reload ")
    assert all(b"x-tidegate-admin-key: k" in request for request in server.requests)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (told({"errors": ["routing.yaml:3: no such option"]}, 422), "/reload: routing.yaml:3: no such option"),
        (told({"error": "wrong key"}, 401), "/reload: wrong key"),
        (told({"hash": "x", "restart_needed": ["listen: a → b"]}), "needs a restart of the proxy: listen"),
        ([whole(b"<html>", 404)], "/reload: it answered 404"),
        ([None], "no admin port answers at "),
    ],
)
async def test_what_is_said(script: list[bytes | float | None], said: str) -> None:
    async with scripted(script) as server:
        with pytest.raises(AdminError) as refused:
            await Admin(server.url, {}).reload()
    assert said in str(refused.value)


async def test_a_proxy_that_keeps_nothing_has_nothing_to_be_emptied() -> None:
    async with scripted(told({"error": "it keeps no answers"}, 409)) as server:
        assert not await Admin(server.url, {}).empty_cache()


async def test_the_admin_port_of_another_proxy_is_not_taken() -> None:
    status = {"listen": "http://0.0.0.0:8080", "version": "1"}
    async with scripted(told(status)) as server:
        assert await admin_of(server.url, {}, "http://127.0.0.1:9999") is None
        found = await admin_of(server.url, {}, "http://127.0.0.1:8080")
    assert found is not None
    assert found[1]["version"] == "1"
    assert await admin_of("http://127.0.0.1:1", {}, "http://127.0.0.1:8080") is None
