"""One backend: defaults, names, and what the scheduler is told."""

import pytest
from pydantic import ValidationError

from proxy.config.backend import BackendOptions, served_names, with_unique_names
from proxy.model.backend import BackendSpec


def backend(url: str = "http://gpu1:8001", **options: object) -> BackendOptions:
    return BackendOptions.model_validate({"url": url, **options})


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://gpu1:8001/v1", "gpu1:8001"),
        ("http://gpu1", "gpu1:80"),
        ("https://gpu1/a", "gpu1:443"),
        ("http://[::1]:8001", "::1:8001"),
        (f"http://{'a' * 60}.example.com:8001", f"{'a' * 60}.example.com:8001"[-64:]),
    ],
)
def test_the_default_name_is_host_and_port(url: str, name: str) -> None:
    assert backend(url).name == name


def test_taken_names_get_a_number_and_written_ones_stay() -> None:
    named = with_unique_names(
        (backend("http://a:1"), backend("http://a:1/x"), backend("http://b:1", name="a:1-2"), backend("http://a:1/y"))
    )
    assert [b.name for b in named] == ["a:1", "a:1-3", "a:1-2", "a:1-4"]


def test_a_numbered_name_stays_a_label() -> None:
    url = f"http://{'a' * 64}:8001"
    names = [b.name for b in with_unique_names((backend(url), backend(url)))]
    assert len(set(names)) == 2
    assert all(len(name) == 64 for name in names)


@pytest.mark.parametrize("name", ["", "a b", "ä", "a/b", "a\n", "x" * 65])
def test_a_name_must_be_a_label(name: str) -> None:
    with pytest.raises(ValidationError, match="is not a name"):
        backend(name=name)


@pytest.mark.parametrize("models", [[], "atuo", [""], [" a"], ["a\nb"], ["a" * 257], 5, None])
def test_refused_models(models: object) -> None:
    with pytest.raises(ValidationError):
        backend(models=models)


def test_spec_of_a_backend_that_lists_its_models() -> None:
    spec = backend(name="gpu1", pool="fast", models=["org/m1", "m2"], aliases={"gpt": "m2"}, max_concurrency=4).spec()
    assert spec == BackendSpec(
        "gpu1",
        "fast",
        frozenset({"org/m1", "m2", "gpt"}),
        False,
        {"gpt": "m2"},
        4,
        frozenset({"pool=fast", "backend=gpu1"}),
        url=URL,
    )


def test_spec_of_what_the_scheduler_weighs() -> None:
    spec = backend(labels=["fp8"], speculative=True, kv_tokens=1000, seats=8, bias={"bulk": 2.0}, order=1).spec()
    assert spec.labels == {"fp8", "pool=default", "backend=gpu1:8001"}
    assert (spec.facts.speculative, spec.kv_tokens, spec.seats, spec.bias) == (True, 1000, 8, {"bulk": 2.0})
    assert (spec.order, backend().spec().order) == (1, 0)
    with pytest.raises(ValidationError, match="order"):
        backend(order=-1)


URL = "http://gpu1:8001"
POOL = frozenset({"pool=default", "backend=gpu1:8001"})


def test_spec_of_auto_and_any() -> None:
    assert backend().spec() == BackendSpec("gpu1:8001", labels=POOL, url=URL)
    assert backend(models="any").spec() == BackendSpec("gpu1:8001", any_model=True, labels=POOL, url=URL)


def test_served_names_are_known_only_when_all_list_them() -> None:
    listed, auto = backend(models=["a"], aliases={"b": "a"}), backend()
    assert served_names({0: listed}) == {"a", "b"}
    assert served_names({0: listed, 1: auto}) is None


def test_frozen_and_strict() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        backend().name = "x"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="Extra inputs"):
        backend(wieght=3)


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("llama.cpp", "llama_cpp"),
        ("llama-cpp", "llama_cpp"),
        ("llamacpp", "llama_cpp"),
        ("llama_cpp", "llama_cpp"),
        ("Llama.cpp", "llama_cpp"),
        ("llama-server", "llama_cpp"),
        ("vLLM", "vllm"),
        ("SGLang", "sglang"),
        ("TensorRT-LLM", "tensorrt_llm"),
        ("trtllm", "tensorrt_llm"),
        ("Auto", "auto"),
    ],
)
def test_an_engine_may_be_spelt_as_its_makers_do(written: str, kind: str) -> None:
    assert BackendOptions.model_validate({"url": "http://a", "kind": written}).kind == kind


@pytest.mark.parametrize(
    ("written", "meant"),
    [("hf", "transformers"), ("text-generation-inference", "tgi"), ("lmstudio", "openai"), ("gguf", "llama_cpp")],
)
def test_other_names_of_engines_are_told(written: str, meant: str) -> None:
    with pytest.raises(ValidationError) as refused:
        BackendOptions.model_validate({"url": "http://a", "kind": written})
    assert refused.value.errors()[0]["ctx"]["hint"] == f'did you mean "{meant}"?'


@pytest.mark.parametrize("written", ["", "xyz", 5, None])
def test_no_engine(written: object) -> None:
    with pytest.raises(ValidationError):
        BackendOptions.model_validate({"url": "http://a", "kind": written})


def test_an_address_of_a_name_is_a_backend_of_its_own_that_answers_to_both_names() -> None:
    named = backend("https://vllm.llm:8000", name="vllm", resolve="all", seats=7)
    one, other = named.at("10.0.0.7").spec(), named.at("fd00::7").spec()
    assert (one.name, other.name) == ("vllm@10.0.0.7", "vllm@fd00::7")
    assert one.labels >= {"backend=vllm", "backend=vllm@10.0.0.7"}
    assert one.seats == 7
    assert not one.is_same_engine(other)
    assert one.is_same_engine(named.at("10.0.0.7").spec())
    assert named.at("10.0.0.7").resolve == "one"
