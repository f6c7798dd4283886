"""What the doctor makes of what was seen."""

from proxy.app.doctor.judge import Seen, of_clock, of_descriptors, of_engine, of_remote
from proxy.config.backend import BackendOptions
from proxy.config.diagnostics import Severity

NOW = 1_800_000_000.0
LIST = {"object": "list", "data": [{"id": "m", "owned_by": "vllm"}]}
GOOD = Seen("vllm", 200, "", LIST, "Fri, 15 Jan 2027 08:00:00 GMT", {"/metrics": b""})


def backend(**options: object) -> BackendOptions:
    return BackendOptions.model_validate({"url": "http://127.0.0.1:1", "name": "a", **options})


def worse(seen: Seen, **options: object) -> list[str]:
    found = of_engine(backend(**options), seen, NOW)
    return [one.seen for one in found if one.severity is not Severity.NOTE]


def test_a_good_engine_is_only_noted() -> None:
    assert worse(GOOD) == []


def test_models_and_aliases_that_it_does_not_list() -> None:
    assert worse(GOOD, models=["m", "x"], aliases={"y": "z"}) == [
        "it does not list the model x",
        "alias y leads to z, not listed",
    ]


def test_a_clock_that_differs() -> None:
    late = GOOD._replace(date="Fri, 15 Jan 2027 07:58:00 GMT")
    assert worse(late) == ["its clock is 120 s behind ours"]
    assert worse(GOOD._replace(date="nonsense")) == []


def test_traps_are_the_engine_s() -> None:
    off = b'vllm:cache_config_info{enable_prefix_caching="False"} 1.0\n'
    assert "prefix cache" in worse(GOOD._replace(bodies={"/metrics": off}))[0]
    assert "/metrics" in worse(GOOD._replace(bodies={}))[0]
    props = {"/props": b'{"endpoint_slots":false}'}
    assert len(worse(GOOD._replace(kind="llama_cpp", bodies=props))) == 2
    loaded = {"/api/ps": b'{"models":[{"name":"m","context_length":4096}]}'}
    assert "4096" in worse(GOOD._replace(kind="ollama", bodies=loaded))[0]


def test_an_engine_that_wants_a_key_or_is_away() -> None:
    assert worse(GOOD._replace(status=401)) == ["it answers 401"]
    assert worse(GOOD._replace(status=0, error="gone")) == ["gone"]


def test_the_machine() -> None:
    assert of_descriptors(100, 100).severity is Severity.NOTE
    assert of_descriptors(100, 99).severity is Severity.WARNING
    assert [one.severity for one in of_clock(0.0)] == [Severity.ERROR]


def test_the_second_level_of_the_cache() -> None:
    assert of_remote(None, "gone").severity is Severity.ERROR
    assert of_remote(0.2).severity is Severity.WARNING
    assert of_remote(0.001).severity is Severity.NOTE
