"""Facts of engines: whose word counts, and the labels that rules require."""

from proxy.model.engine_facts import UNKNOWN, EngineFacts, denied, fact_label, first_known, labels_of


def test_what_the_engine_says_counts_more_than_what_is_written() -> None:
    written = EngineFacts(precision="fp16", gpu="A100-80GB", speculative=True)
    assert first_known(UNKNOWN, written) is written
    told = EngineFacts(engine="llama_cpp", precision="Q8_0", speculative=False)
    assert first_known(told, written) == EngineFacts(
        engine="llama_cpp", precision="Q8_0", gpu="A100-80GB", speculative=False
    )


def test_labels() -> None:
    facts = EngineFacts("vllm", "0.33.0", "FP16", "fp8_e4m3", "FLASH_ATTN", True, gpu="A100-80GB", hardware="2x L40S")
    assert labels_of(facts) == {
        *("engine=vllm", "precision=fp16", "precision=16bit", "attention=flash_attn", "speculative=true"),
        *("kv_precision=fp8_e4m3", "kv_precision=fp8", "kv_precision=8bit", "gpu=a100-80gb", "hardware=2x-l40s"),
    }
    assert labels_of(UNKNOWN) == frozenset()
    assert labels_of(EngineFacts(speculative=False)) == {"speculative=false"}


def test_what_a_rule_says_is_a_label_that_such_an_engine_has() -> None:
    facts = EngineFacts(precision="Q4_K - Medium", gpu="A100 80GB", hardware="2x L40S", attention="flash")
    written = {"precision": ("q4_k_m", "Q4_K - Medium", "int4", "4-bit"), "gpu": ("a100-80GB", "A100 80GB")}
    for name, values in written.items():
        for value in values:
            assert fact_label(name, value) in labels_of(facts)


def test_what_is_denied() -> None:
    written = EngineFacts(precision="4bit", speculative=True, gpu="A100")
    assert denied(EngineFacts(precision="Q4_K_M", speculative=True), written) == []
    assert denied(EngineFacts(precision="F16", speculative=False), written) == ["precision", "speculative"]
    assert denied(UNKNOWN, written) == []
