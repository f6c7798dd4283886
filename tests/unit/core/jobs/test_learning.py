"""What is written down when an attempt goes, and what is learned of how it went."""

from statistics import fmean
from typing import Any

import pytest

from proxy.core.dials import Dials
from proxy.core.fleet.backend import Backend
from proxy.core.jobs.learning import Learning
from proxy.core.jobs.open_job import OpenJob
from proxy.core.learn.entry import Entry
from proxy.core.route.forecasting import foresee
from proxy.core.tally import Tally
from proxy.model.backend import BackendSpec
from proxy.model.commands import Finished, Load
from proxy.model.limits import HealthSettings
from proxy.model.request import Job
from proxy.model.scheduling import CoreSettings, FairnessSettings

CHAIN = tuple(range(8))


class Desk:
    """Books with one backend in them."""

    def __init__(self, **spec: Any) -> None:
        self.tally = Tally()
        self.learning = Learning(Dials(CoreSettings()), FairnessSettings(), self.tally)
        self.backend = Backend(BackendSpec("a", **spec), 0, HealthSettings())
        self.count = 0

    def send(self, now: float, **job: Any) -> Entry:
        self.count += 1
        open_job = OpenJob(Job(self.count, "m", stream=True, **{"prompt_tokens": 1000, **job}), self.count, now)
        demand = self.learning.demand(open_job, now)
        foresee(self.backend, demand)
        entry = self.learning.open(open_job, self.backend, demand)
        self.backend.in_flight += 1
        return entry

    def finish(self, entry: Entry, now: float, prompt: int = 1000, cached: int | None = 0, answer: int = 50) -> None:
        self.backend.in_flight -= 1
        self.learning.finished(entry, self.backend, Finished(0, prompt, cached, answer), now)


def test_time_that_passed_before_is_not_left_any_more() -> None:
    learning = Learning(Dials(CoreSettings()), FairnessSettings(), Tally())
    demand = learning.demand(OpenJob(Job(1, "m", slo_ttft_s=2.0, slo_tpot_s=0.1, done_by=30.0), 1, 10.0), 11.5)
    assert (demand.waited, demand.ttft_left, demand.tpot_limit, demand.rest_s) == (1.5, 0.5, 0.1, 18.5)


def test_bulk_promises_nothing_about_time_and_has_half_of_it_for_patience() -> None:
    learning = Learning(Dials(CoreSettings()), FairnessSettings(), Tally())
    job = Job(1, "m", bulk=True, slo_ttft_s=2.0, slo_tpot_s=0.1, deadline=110.0)
    demand = learning.demand(OpenJob(job, 1, 10.0), 10.0)
    assert not demand.promises
    assert demand.patience_s == 50.0
    assert learning.demand(OpenJob(Job(2, "m", bulk=True), 2, 0.0), 0.0).patience_s == 300.0


def test_a_demoted_job_is_asked_for_as_bulk() -> None:
    open_job = OpenJob(Job(1, "m", slo_ttft_s=0.2), 1, 0.0)
    open_job.demoted = True
    assert not Learning(Dials(CoreSettings()), FairnessSettings(), Tally()).demand(open_job, 0.0).promises


def test_a_prefill_is_learned_with_the_prefix_that_was_found_not_with_the_one_predicted() -> None:
    desk = Desk()
    first = desk.send(0.0, prefix=CHAIN, prefix_block_tokens=125)
    desk.learning.first_token(first, desk.backend, 0.12)
    assert desk.backend.model.samples == 0, "not before it is known what was computed"
    desk.finish(first, 2.0)
    assert desk.backend.model.samples == 1
    again = desk.send(10.0, prefix=CHAIN, prefix_block_tokens=125)
    assert again.hit == pytest.approx(999.0, rel=0.01)
    desk.learning.first_token(again, desk.backend, 10.12)
    desk.finish(again, 12.0, cached=0)
    assert desk.tally.predicted_hit_tokens == pytest.approx(999.0, rel=0.01)
    assert desk.tally.actual_hit_tokens == 0.0
    assert desk.backend.record.trust < 1.0
    assert desk.backend.model.slow == 1.0, "so long for 1,000 tokens is as ever"


def chatted(desk: Desk, turns: int, chat: int = 0, kept: bool = True) -> list[tuple[float, float, float]]:
    """Turns of 55 tokens each, the answer before included, which the engine has `kept` or not; 6 bytes to a token and
    512 to a block. Tokens of each prompt as predicted and as they are, and those that were to be computed."""
    found, before = [], 0
    for turn in range(turns):
        prompt, now = 200 + 55 * turn, 100.0 * chat + 10.0 * turn
        blocks = tuple(1000 * chat + number for number in range(6 * prompt // 512))
        size = {"body_bytes": 6 * prompt + 100, "prompt_tokens": 0, "max_tokens": 30}
        entry = desk.send(now, prefix=blocks, prefix_block_tokens=128, **size)
        found.append((entry.prompt, prompt, entry.fresh))
        desk.learning.first_token(entry, desk.backend, now + 0.1)
        desk.finish(entry, now + 1.0, prompt, before, 30)
        before = prompt + 30 * kept
    return found


def test_of_a_conversation_only_what_is_new_is_computed_and_no_whole_blocks() -> None:
    desk = Desk()
    for chat in range(6):
        chatted(desk, 8, chat)
    found = chatted(desk, 8, 6)[1:]
    for predicted, prompt, _ in found:
        assert predicted == pytest.approx(prompt, abs=60.0), "within a block"
    assert fmean(fresh for _, _, fresh in found) == pytest.approx(25.0, abs=15.0)


def test_an_engine_that_keeps_no_answers_computes_them() -> None:
    desk = Desk()
    for chat in range(6):
        chatted(desk, 8, chat, kept=False)
    assert desk.backend.record.answers == 0.0
    assert fmean(fresh for _, _, fresh in chatted(desk, 8, 6, kept=False)[1:]) == pytest.approx(55.0, abs=15.0)


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_found_though_it_was_taken_for_evicted_makes_the_books_larger(kept: bool) -> None:
    """llama.cpp has one slot for 2,048 tokens, and the prompts of others in the memory of its host."""
    desk = Desk(kv_tokens=2048)
    chats, hits = 8, 0.0
    for turn in range(40):
        for chat in range(chats):
            prompt, now = 600 + turn, 20.0 * turn + 2.0 * chat
            chain = tuple(1000 * chat + number for number in range(7 + turn // 8))
            size = {"body_bytes": 6 * prompt, "prompt_tokens": 0, "max_tokens": 30}
            entry = desk.send(now, prefix=chain, prefix_block_tokens=128, **size)
            hits = entry.hit
            desk.learning.first_token(entry, desk.backend, now + 0.1)
            desk.finish(entry, now + 1.0, prompt, (prompt - 1 if turn else 0) if kept else 0, 30)
    assert hits > 500.0 if kept else hits < 50.0


def test_an_answer_that_ended_badly_teaches_nothing() -> None:
    desk = Desk()
    entry = desk.send(0.0)
    desk.learning.first_token(entry, desk.backend, 0.5)
    desk.learning.finished(entry, desk.backend, Finished(1, 1000, 0, 50, ok=False), 9.0)
    assert (desk.backend.model.samples, desk.backend.model.decode_samples) == (0, 0)
    assert (desk.backend.ledger.kv, desk.backend.ledger.decoding) == (0.0, 0)


def test_short_answers_say_nothing_of_the_pace() -> None:
    desk = Desk()
    for now, answer in ((0.0, 7), (10.0, 8)):
        entry = desk.send(now)
        desk.learning.first_token(entry, desk.backend, now + 0.2)
        desk.finish(entry, now + 1.0, answer=answer)
    assert desk.backend.model.decode_samples == 1


def test_a_prompt_that_was_cut_does_not_tell_how_long_prompts_are() -> None:
    """Else those that are too long would soon be taken for short ones, and go where they are cut."""
    desk = Desk()
    for number in range(20):
        entry = desk.send(10.0 + number)
        desk.backend.in_flight -= 1
        desk.learning.finished(entry, desk.backend, Finished(0, 100, 0, 50, cut=True), 11.0 + number)
    assert desk.send(50.0).prompt == 1000
    desk.finish(desk.send(51.0), 52.0, prompt=100)
    assert desk.send(60.0).prompt < 1000


def test_a_prefill_given_up_late_says_that_the_backend_is_slow() -> None:
    desk = Desk()
    for now in range(0, 100, 20):
        desk.learning.lost(desk.send(float(now)), desk.backend, now + 15.0)
    assert desk.backend.model.slow > 2
    assert desk.backend.ledger.pending == {}


def test_the_service_of_a_tenant_is_what_its_work_takes() -> None:
    desk = Desk()
    desk.send(0.0, tenant="large", prompt_tokens=20_000)
    desk.send(0.0, tenant="small", prompt_tokens=100)
    services = desk.learning.tenants.services(0.0)
    assert services["large"] > 10 * services["small"] > 0


@pytest.mark.parametrize("told", [float("nan"), float("inf"), -1.0, 0.0, 1e12])
def test_a_kv_budget_that_cannot_be_is_not_believed(told: float) -> None:
    desk = Desk()
    desk.learning.load(desk.backend, Load("a", 0, 0, None, told), 1.0)
    assert desk.backend.kv_tokens is None


def test_the_kv_budget_follows_from_usage_when_all_of_it_is_ours() -> None:
    desk = Desk()
    for _ in range(10):
        desk.learning.first_token(desk.send(0.0), desk.backend, 1.0)
    desk.learning.load(desk.backend, Load("a", 10, 0, 0.5), 2.0)
    assert desk.backend.kv_tokens == pytest.approx(desk.backend.ledger.kv / 0.5)
    other = Desk()
    other.learning.first_token(other.send(0.0), other.backend, 1.0)
    other.learning.load(other.backend, Load("a", 9, 3, 0.5), 2.0)
    assert other.backend.kv_tokens is None, "others are there: nobody knows what the usage is made of"


def test_what_is_configured_is_not_overruled_by_metrics() -> None:
    desk = Desk(kv_tokens=1000, seats=3)
    desk.learning.load(desk.backend, Load("a", 0, 0, 0.1, 5000.0, 9.0), 1.0)
    assert (desk.backend.kv_tokens, desk.backend.seats) == (1000, 3)


def test_a_restart_empties_the_record() -> None:
    desk = Desk()
    desk.send(0.0, prefix=CHAIN)
    assert desk.backend.record.blocks
    desk.learning.restarted(desk.backend)
    assert not desk.backend.record.blocks


def test_an_engine_that_was_left_alone_shows_what_it_told_last() -> None:
    desk = Desk()
    desk.learning.load(desk.backend, Load("a", 3.0, 1.0, 0.5), 1.0)
    desk.learning.load(desk.backend, Load("a", seats=2.0, resting=True), 2.0)
    load = desk.backend.last_load
    assert load is not None
    assert (load.running, load.waiting, load.kv_usage, load.seats) == (3.0, 1.0, 0.5, 2.0)
    desk.learning.load(desk.backend, Load("a"), 3.0)
    assert desk.backend.last_load == Load("a"), "it was asked, and tells nothing any more"
