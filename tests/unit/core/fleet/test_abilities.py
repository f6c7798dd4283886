"""What engines cannot do: told, learned, forgotten, and avoided as long as others can."""

from typing import Any

import pytest

from proxy.core.fleet.abilities import BELIEVED_S, MAX_LACKS, Abilities
from proxy.model.abilities import Cannot, Lack, Traits
from proxy.model.commands import Dispatch, Load, Probed, Refused, Restarted
from proxy.model.endpoint import Endpoint
from proxy.model.faults import Kind
from proxy.model.request import Job
from tests.unit.core.playing import M, Play, fault, gone, refused, spec

NO_TOOLS = Cannot(Lack.TOOLS)
NO_ROUTE = Cannot(Lack.ENDPOINT)
TOOLS = frozenset({Lack.TOOLS})
STRICT = Traits(counts_answer=True)


class Pool(Play):
    """Two unlike engines of one name: a is short, b is long."""

    def __init__(self, **more: Any) -> None:
        super().__init__(spec("a"), spec("b", **more), policy="round_robin")

    def tell(self, name: str, tokens: int, traits: Traits | None = None) -> None:
        self.scheduler.observe(Probed(name, True, M, contexts={"m": tokens}, traits=traits), self.now)

    def refuse(self, job_id: int, backend: str, cannot: Cannot) -> None:
        self.scheduler.observe(Refused(self.attempt(job_id, backend), cannot), self.now)
        self.finish(job_id)

    def whereto(self, **job: Any) -> set[str]:
        """Of six requests; each is over before the next."""
        places = set()
        for job_id in range(1000, 1006):
            ((_, place, _),) = gone(self.submit(job_id, **job))
            places.add(place)
            self.finish(job_id)
        return places

    def sent_to(self, place: str, **job: Any) -> int:
        """A request that is out there."""
        for job_id in range(1, 100):
            ((_, found, _),) = gone(self.submit(job_id, **job))
            if found == place:
                return job_id
            self.finish(job_id)
        raise AssertionError(place)


def test_a_long_prompt_goes_where_it_fits() -> None:
    pool = Pool()
    pool.tell("a", 2048)
    pool.tell("b", 8192)
    assert pool.whereto(prompt_tokens=2700) == {"b"}
    assert pool.whereto(prompt_tokens=1900) == {"b"}, "it may be longer than estimated"
    assert pool.whereto(prompt_tokens=1000) == {"a", "b"}


def test_where_nobody_has_room_the_longest_says_so() -> None:
    pool = Pool()
    pool.tell("a", 2048)
    pool.tell("b", 8192)
    assert pool.whereto(prompt_tokens=50_000) == {"b"}
    pool.tell("b", 2048)
    assert pool.whereto(prompt_tokens=50_000) == {"a", "b"}


def test_an_unknown_length_is_long() -> None:
    pool = Pool()
    pool.tell("a", 2048)
    assert pool.whereto(prompt_tokens=2700) == {"b"}


def test_the_answer_counts_where_the_engine_counts_it() -> None:
    pool = Pool()
    pool.tell("a", 2048, STRICT)
    pool.tell("b", 8192)
    assert pool.whereto(prompt_tokens=100, max_tokens=2000) == {"b"}
    pool.tell("a", 2048, Traits())
    assert pool.whereto(prompt_tokens=100, max_tokens=2000) == {"a", "b"}


@pytest.mark.parametrize("job", [{"endpoint": Endpoint.EMBEDDINGS}, {"needs": frozenset({Lack.IMAGES})}])
def test_a_body_that_does_not_tell_its_tokens_goes_anywhere(job: dict[str, Any]) -> None:
    pool = Pool()
    pool.tell("a", 2048)
    pool.tell("b", 8192)
    assert pool.whereto(prompt_tokens=100_000, **job) == {"a", "b"}


def test_contexts_of_a_scrape_count_too() -> None:
    pool = Pool()
    pool.scheduler.observe(Load("a", contexts={"m": 2048}), pool.now)
    assert pool.whereto(prompt_tokens=2700) == {"b"}


def test_a_name_of_ours_has_the_context_of_the_engines_own() -> None:
    play = Play(spec("a", aliases={"m": "x"}), spec("b"), policy="round_robin")
    play.scheduler.observe(Probed("a", True, None, contexts={"x": 1000}), play.now)
    assert {gone(play.submit(n, prompt_tokens=1500))[0][1] for n in range(4)} == {"b"}


@pytest.mark.parametrize(
    ("cannot", "job", "other"),
    [
        (NO_TOOLS, {"needs": TOOLS}, {}),
        (NO_ROUTE, {"endpoint": Endpoint.EMBEDDINGS}, {"endpoint": Endpoint.CHAT}),
        (Cannot(Lack.CONTEXT, 2048), {"prompt_tokens": 2700}, {"prompt_tokens": 700}),
        (Cannot(Lack.CONTEXT), {"prompt_tokens": 2700}, {"prompt_tokens": 700}),
        (
            Cannot(Lack.CONTEXT, 2048),
            {"prompt_tokens": 2700},
            {"endpoint": Endpoint.COMPLETIONS, "prompt_tokens": 2700},
        ),
    ],
)
def test_what_an_engine_refused_goes_elsewhere(cannot: Cannot, job: dict[str, Any], other: dict[str, Any]) -> None:
    pool = Pool()
    pool.refuse(pool.sent_to("a", **job), "a", cannot)
    assert pool.whereto(**job) == {"b"}
    assert pool.whereto(**other) == {"a", "b"}


def test_it_goes_where_it_went_before_when_nobody_can() -> None:
    pool = Pool()
    for name in ("a", "b"):
        pool.refuse(pool.sent_to(name, needs=TOOLS), name, NO_TOOLS)
    assert pool.whereto(needs=TOOLS) == {"a", "b"}


def test_it_waits_for_who_can() -> None:
    pool = Pool(permits=1)
    pool.refuse(pool.sent_to("a", needs=TOOLS), "a", NO_TOOLS)
    ((first, place, _),) = gone(pool.submit(500, needs=TOOLS))
    assert place == "b"
    assert pool.submit(501, needs=TOOLS) == []
    ((other, place, _),) = gone(pool.submit(502))
    assert place == "a", "it needs no tools"
    assert pool.finish(other) == [], "what waits is not for this one"
    ((job_id, place, _),) = gone(pool.finish(first))
    assert (job_id, place) == (501, "b")


CANNOT = fault(Kind.CANNOT)


def test_a_refused_request_goes_to_who_can_and_costs_nothing() -> None:
    pool = Pool()
    job_id = pool.sent_to("a", needs=TOOLS)
    pool.scheduler.observe(Refused(pool.attempt(job_id, "a"), NO_TOOLS), pool.now)
    ((_, place, attempt),) = gone(pool.fail(job_id, CANNOT))
    assert (place, attempt) == ("b", 2)
    assert pool.counts.retries == 0
    assert pool.view("a").state == "healthy"


def test_each_backend_is_asked_once_and_the_last_one_has_the_word() -> None:
    pool = Pool()
    for attempt in range(3):
        job_id = pool.sent_to("a", needs=TOOLS)
        pool.scheduler.observe(Refused(pool.attempt(job_id, "a"), NO_TOOLS), pool.now)
        commands = pool.fail(job_id, CANNOT)
        if not attempt:
            assert [place for _, place, _ in gone(commands)] == ["b"]
            pool.scheduler.observe(Refused(pool.attempt(job_id, "b"), NO_TOOLS), pool.now)
            commands = pool.fail(job_id, CANNOT)
        assert refused(commands) == [(job_id, Kind.CANNOT)], "nobody else is asked in vain again"


def test_a_prompt_that_was_too_long_for_one_goes_only_to_longer_ones() -> None:
    pool = Pool()
    pool.tell("a", 2048)
    pool.tell("b", 2048)
    job_id = pool.sent_to("a", prompt_tokens=1500)  # as estimated, but it has more
    pool.scheduler.observe(Refused(pool.attempt(job_id, "a"), Cannot(Lack.CONTEXT, 2048)), pool.now)
    assert refused(pool.fail(job_id, CANNOT)) == [(job_id, Kind.CANNOT)]
    pool.tell("b", 8192)
    job_id = pool.sent_to("a", prompt_tokens=1500)
    pool.scheduler.observe(Refused(pool.attempt(job_id, "a"), Cannot(Lack.CONTEXT, 2048)), pool.now)
    assert [place for _, place, _ in gone(pool.fail(job_id, CANNOT))] == ["b"]


def test_labels_come_first() -> None:
    play = Play(spec("a", labels=frozenset({"x"})), spec("b"), policy="round_robin")
    job = {"needs": TOOLS, "require": frozenset({"x"})}
    play.submit(1, **job)
    play.scheduler.observe(Refused(play.attempt(1), NO_TOOLS), play.now)
    play.finish(1)
    assert gone(play.submit(2, **job)) == [(2, "a", 1)], "nobody else has the label"


def test_it_is_believed_for_a_while_and_of_this_engine() -> None:
    pool = Pool()
    pool.refuse(pool.sent_to("a", needs=TOOLS), "a", NO_TOOLS)
    pool.later(BELIEVED_S - 1.0)
    assert pool.whereto(needs=TOOLS) == {"b"}
    pool.later(2.0)
    assert pool.whereto(needs=TOOLS) == {"a", "b"}
    pool.refuse(pool.sent_to("a", needs=TOOLS), "a", NO_TOOLS)
    pool.scheduler.observe(Restarted("a"), pool.now)
    assert pool.whereto(needs=TOOLS) == {"a", "b"}


@pytest.mark.parametrize(
    ("cannot", "job"),
    [
        (NO_TOOLS, {}),
        (Cannot(Lack.IMAGES), {"needs": TOOLS}),
        (Cannot(Lack.CONTEXT, 8192), {"prompt_tokens": 50}),
        (Cannot(Lack.CONTEXT), {"prompt_tokens": 50, "max_tokens": 100}),
    ],
)
def test_what_the_request_did_not_need_is_not_believed(cannot: Cannot, job: dict[str, Any]) -> None:
    pool = Pool()
    pool.refuse(pool.sent_to("a", **job), "a", cannot)
    assert pool.whereto(**job) == {"a", "b"}
    assert pool.whereto(needs=TOOLS, prompt_tokens=9000) == {"a", "b"}


def test_a_late_report_is_nothing() -> None:
    pool = Pool()
    job_id = pool.sent_to("a", needs=TOOLS)
    pool.finish(job_id)
    pool.scheduler.observe(Refused(pool.attempt(job_id, "a"), NO_TOOLS), pool.now)
    assert pool.whereto(needs=TOOLS) == {"a", "b"}


def test_many_engines_are_looked_through_for_the_one_that_can() -> None:
    specs = [spec(f"b{n}") for n in range(60)]
    play = Play(*specs, policy="least_outstanding")
    for n in range(59):
        play.scheduler.observe(Probed(f"b{n}", True, M, contexts={"m": 2048}), play.now)
    (command,) = play.submit(1, prompt_tokens=9000)
    assert isinstance(command, Dispatch)
    assert command.backend == "b59"


def test_only_so_much_is_remembered() -> None:
    abilities = Abilities()
    for number in range(MAX_LACKS + 10):
        abilities.learn(Job(1, "m"), f"m{number}", NO_ROUTE, 0.0, 100.0)
    known = [n for n in range(MAX_LACKS + 10) if not abilities.does(Job(1, "m"), f"m{n}", 100.0)]
    assert known == list(range(10, MAX_LACKS + 10))


def test_alike() -> None:
    one, other = Abilities(), Abilities()
    assert one.alike(other)
    assert one.tell({"m": 1})
    assert not one.tell({"m": 1})
    assert not one.alike(other)
    other.tell({"m": 1})
    assert one.alike(other)
    other.learn(Job(1, "m"), "m", NO_ROUTE, 0.0, 0.0)
    assert not one.alike(other)


def test_what_an_engine_says_that_its_model_cannot_keeps_those_who_need_it_away() -> None:
    pool = Pool()
    pool.scheduler.observe(Load("a", unable={"m": TOOLS}), pool.now)
    assert pool.whereto(needs=TOOLS) == {"b"}
    assert pool.whereto() == {"a", "b"}
    pool.scheduler.observe(Load("b", unable={"m": TOOLS}), pool.now)
    assert pool.whereto(needs=TOOLS) == {"a", "b"}, "where nobody can, its word is asked for again"
    pool.scheduler.observe(Load("b", unable={}), pool.now)
    assert pool.whereto(needs=TOOLS) == {"b"}
    pool.scheduler.observe(Restarted("a"), pool.now)
    assert pool.whereto(needs=TOOLS) == {"a", "b"}
