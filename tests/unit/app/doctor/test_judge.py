"""What the doctor makes of an engine that was asked."""

import pytest

from proxy.app.doctor.judge import Seen, of_engine
from proxy.config.backend import BackendOptions
from proxy.config.diagnostics import Severity

NOW = 1_800_000_000.0
LIST = {"object": "list", "data": [{"id": "m", "owned_by": "vllm"}]}
GOOD = Seen("vllm", 200, "", LIST, "Fri, 15 Jan 2027 08:00:00 GMT", {"/metrics": b""})


def backend(**options: object) -> BackendOptions:
    return BackendOptions.model_validate({"url": "http://127.0.0.1:1", "name": "a", **options})


def worse(seen: Seen, **options: object) -> list[tuple[str, str]]:
    found = list(of_engine(backend(**options), seen, NOW))
    assert all(one.where == "a" for one in found)
    assert all(one.do for one in found if one.severity is not Severity.NOTE)
    return [(one.id, one.what) for one in found if one.severity is not Severity.NOTE]


def test_a_good_engine_is_only_noted() -> None:
    assert worse(GOOD) == []
    noted = list(of_engine(backend(), GOOD._replace(version="0.33.0"), NOW))
    assert [(one.id, one.what) for one in noted] == [("engine-seen", "vllm 0.33.0, serves m")]


def test_models_and_aliases_that_it_does_not_list() -> None:
    assert worse(GOOD, models=["m", "x"], aliases={"y": "z"}) == [
        ("engine-model-missing", "it does not list the model x"),
        ("engine-alias", "alias y leads to z, not listed"),
    ]


def test_a_clock_that_differs() -> None:
    late = GOOD._replace(date="Fri, 15 Jan 2027 07:58:00 GMT")
    assert worse(late) == [("engine-clock", "its clock is 120 s behind ours")]
    assert worse(GOOD._replace(date="nonsense")) == []


def test_traps_are_the_engine_s() -> None:
    assert worse(GOOD._replace(bodies={}))[0][0] == "vllm-no-metrics"
    props = {"/props": b'{"endpoint_slots":false}'}
    found = worse(GOOD._replace(kind="llama_cpp", bodies=props, statuses={"/props": 200, "/metrics": 501}))
    assert [name for name, _ in found] == ["llama-cpp-no-metrics", "llama-cpp-no-slots"]


def test_facts_of_the_file_that_it_denies() -> None:
    sees = GOOD._replace(kind="llama_cpp", bodies={"/props": b'{"model_ftype":"Q4_K - Medium"}'})
    assert dict(worse(sees, precision="fp16"))["engine-denies"] == "the file says precision fp16, it Q4_K - Medium"
    assert "engine-denies" not in dict(worse(sees, precision="int4"))


def test_an_engine_that_wants_a_key_or_is_away() -> None:
    assert worse(GOOD._replace(status=401)) == [("engine-key", "it answers 401")]
    assert worse(GOOD._replace(status=0, error="gone")) == [("engine-away", "gone")]
    refused = GOOD._replace(status=0, error="self-signed", is_certificate=True)
    assert worse(refused) == [("engine-certificate", "self-signed")]


def test_where_it_sends_to_is_told_without_secrets() -> None:
    moved = GOOD._replace(status=301, goes_to="https://u:secret@b.example/v1?key=secret")
    assert worse(moved) == [("engine-redirects", "it answers 301, to https://b.example")]


@pytest.mark.parametrize("models", ["auto", ["m"]])
def test_what_is_no_list_of_models(models: object) -> None:
    named = "engine-no-list" if models == "auto" else "engine-list-unread"
    assert [one for one, _ in worse(GOOD._replace(status=503), models=models)] == [named]


@pytest.mark.parametrize(
    ("address", "is_told"), [("8.8.8.8", True), ("10.1.2.3", False), ("fd00::1", False), ("", False)]
)
def test_a_key_in_clear_over_a_public_network(monkeypatch: pytest.MonkeyPatch, address: str, is_told: bool) -> None:
    monkeypatch.setenv("K", "secret")
    found = worse(GOOD._replace(address=address), api_key="secret")
    assert [name for name, _ in found] == ["engine-key-in-clear"] * is_told


def test_what_engines_say_is_one_bounded_line() -> None:
    found = list(of_engine(backend(), GOOD._replace(version="1\n\x1b[2J" + "9" * 5000), NOW))
    assert len(found[0].what) <= 300
    assert found[0].what.isprintable()
