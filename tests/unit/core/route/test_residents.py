"""Who is there can wait for a prompt by what it had so far, and nobody is counted on who had nothing yet."""

import pytest

from proxy.core.dials import Dials
from proxy.core.fleet.backend import Backend
from proxy.core.fleet.demand import Demand
from proxy.core.learn.entry import Entry
from proxy.core.route.forecasting import foresee, open_entry, predicted_tpot
from proxy.core.route.residents import can_wait, residents_tpot
from proxy.model.backend import BackendSpec
from proxy.model.limits import HealthSettings
from proxy.model.request import Job
from proxy.model.scheduling import CoreSettings

PROMISED_S = 0.1


def demand(prompt: float, answer: float, now: float, **job: object) -> Demand:
    made = Demand(Job(1, "m", **job), now, now)  # type: ignore[arg-type]
    made.prompt, made.answer, made.answer_high = prompt, answer, 2 * answer
    made.bind(Dials(CoreSettings()))
    return made


def engine(*first_tokens: float | None, answer: float = 20.0) -> Backend:
    """Prefill 0.6 s per 10k tokens. Residents with a promise, by their first token; None: still to come."""
    made = Backend(BackendSpec("a"), 0, HealthSettings())
    made.model.prefill, made.model.decode = [0.02, 0.6, 0.0, 0.0], [0.01, 0.004, 0.0, 1.0]
    made.model.samples = 10**6
    for at in sorted(first_tokens, key=lambda at: (at is None, at)):
        now = 50.0 if at is None else at
        resident = demand(10.0, answer, now, slo_tpot_s=PROMISED_S)
        foresee(made, resident)
        entry = Entry(resident.job, now, now)
        open_entry(entry, made, resident)
        entry.streams, entry.work = True, 0.0
        made.ledger.dispatch(entry, now)
        if at is not None:
            made.ledger.first_token(entry, now)
        made.in_flight += 1
    return made


def waits_for(prefill_s: float, one: Backend, now: float = 50.0) -> bool:
    """Whether those there can wait for a prompt of so many seconds, which the mean of them could not."""
    what = demand(prefill_s / 0.6e-4, 20.0, now)
    foresee(one, what)
    tpot = predicted_tpot(one, what)
    assert residents_tpot(one, tpot) > PROMISED_S
    return can_wait(one, what, tpot)


def test_one_that_was_faster_than_promised_for_long_can_wait() -> None:
    assert waits_for(2.0, engine(45.0))
    assert not waits_for(2.0, engine(49.9))


def test_not_for_more_than_a_part_of_what_it_banked() -> None:
    """In 5 s it had 480 tokens for which 48 s were promised."""
    assert waits_for(16.0, engine(45.0))
    assert not waits_for(20.0, engine(45.0))


@pytest.mark.parametrize("other", [49.9, None])
def test_one_that_has_had_next_to_nothing_keeps_it_out(other: float | None) -> None:
    assert not waits_for(2.0, engine(45.0, other))


def test_one_with_a_long_answer_to_come_needs_no_past() -> None:
    """The mean is that of all: a short answer beside it draws it down, but that one has had most of it."""
    one = engine(49.9, answer=400.0)
    what = demand(2.0 / 0.6e-4, 20.0, 50.0)
    foresee(one, what)
    assert can_wait(one, what, predicted_tpot(one, what))


def test_who_was_slowed_down_has_banked_nothing() -> None:
    """Of its 5 s prompts took four and a half."""
    one = engine(45.0)
    one.ledger._prefilling.done_s += 4.5
    one.ledger._busy_s += 4.5
    assert not waits_for(2.0, one)


def test_among_very_many_nobody_is_asked() -> None:
    assert waits_for(2.0, engine(*[40.0] * 8))
    assert not waits_for(2.0, engine(*[40.0] * 65))


def test_bulk_has_no_claim_to_what_others_banked() -> None:
    one = engine(45.0)
    what = demand(2.0 / 0.6e-4, 20.0, 50.0, bulk=True)
    foresee(one, what)
    assert not can_wait(one, what, predicted_tpot(one, what))
