"""What all tables of traps share."""

import pytest

from proxy.engines.registry import DIALECTS
from proxy.engines.trap import Sight, crowded, numbers, path_as_name, trap_id, whole

NOTHING = Sight({}, {})


@pytest.mark.parametrize(
    ("version", "found"),
    [("0.33.0", (0, 33, 0)), ("v0.8.5", (0, 8, 5)), ("0.9.1rc2+cu12", (0, 9, 1)), ("b0-0c1e570", ()), ("", ())],
)
def test_numbers_of_a_version(version: str, found: tuple[int, ...]) -> None:
    assert numbers(version) == found


@pytest.mark.parametrize(("status", "is_told"), [(404, True), (501, True), (401, False), (503, False), (200, False)])
def test_a_route_that_is_not_there(status: int, is_told: bool) -> None:
    assert Sight({"/x": status}, {}).lacks("/x") is is_told
    assert not NOTHING.lacks("/x")


def test_whole_numbers_alone() -> None:
    assert [whole(value) for value in (0, 7, -1, True, 1.0, "1", None)] == [0, 7, None, None, None, None, None]


def test_an_engine_whose_memory_is_not_used_while_requests_wait() -> None:
    assert crowded(4, 3, 0.1) == "4 requests run and 3 wait, while 10% of its KV cache is in use"
    assert not any((crowded(4, 0, 0.1), crowded(4, 3, 0.5), crowded(None, 3, 0.1), crowded(4, 3, None)))


def test_a_name_that_is_a_folder() -> None:
    assert "/models/m" in path_as_name([{"id": "org/m"}, {"id": "/models/m"}])
    assert not path_as_name([{"id": "org/m"}, {"id": 3}, {}])


@pytest.mark.parametrize("kind", [kind for kind, dialect in DIALECTS.items() if dialect.traps])
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'{"models":[null,{"name":3}]}', b"\xff", b'{"version":{}}'])
def test_nothing_is_made_of_answers_that_say_nothing(kind: str, body: bytes) -> None:
    """No exception, and no trap but those that are true of the kind, or of a route that is not there."""
    dialect = DIALECTS[kind]
    paths = [source.path for source in dialect.loads] + list(dialect.trap_routes)
    sight = Sight(dict.fromkeys(paths, 200), dict.fromkeys(paths, body), {"data": [None, {"id": None}]}, "", 0.0)
    found = {trap_id(kind, trap.name) for trap in dialect.traps if trap.look(sight)}
    assert found <= {"transformers-one-at-a-time", "vllm-dev-mode"}
