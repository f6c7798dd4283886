"""The constants: the published formula, and specs that cannot work."""

from dataclasses import replace

import pytest

from proxy.sim.engine.spec import MOONCAKE16, PRESETS, EngineSpec


def test_prefill_in_chunks_costs_what_it_costs_whole() -> None:
    whole = MOONCAKE16.prefill_s(0, 5000)
    assert whole == pytest.approx(0.057 * 5 + 0.0044 * 25)
    assert sum(MOONCAKE16.prefill_s(start, 1000) for start in range(0, 5000, 1000)) == pytest.approx(whole)


def test_decode_step_grows_with_batch_and_context() -> None:
    assert MOONCAKE16.decode_s(0, 0) == 0
    assert MOONCAKE16.decode_s(10, 20_000) == pytest.approx(0.0106 + 0.00419 + 0.00284)


def test_presets_have_room_for_their_longest_request() -> None:
    assert all(spec.max_model_len <= spec.kv_tokens for spec in PRESETS.values())


@pytest.mark.parametrize(
    "wrong", [{"prefix_tokens": 24}, {"token_budget": 256}, {"max_model_len": 300_000}, {"kv_tokens": 1000}]
)
def test_a_spec_that_cannot_work_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        replace(EngineSpec(), **wrong)
