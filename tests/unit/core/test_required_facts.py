"""Rules that require facts of engines: who says what, when it is told, and what is said where nobody fits."""

from proxy.core.fleet.health import HealthState
from proxy.model.commands import Dispatch, Load, Probed, Refuse, Restarted
from proxy.model.engine_facts import EngineFacts
from proxy.model.request import Job
from tests.unit.core.playing import M, Play, spec

FP16 = frozenset({"precision=fp16"})


def told(play: Play, name: str, **facts: object) -> list[object]:
    report = Load(name, running=0.0, facts=EngineFacts(**facts))  # type: ignore[arg-type]
    return list(play.scheduler.observe(report, play.now))


def where(commands: list[object]) -> list[str]:
    return [command.backend for command in commands if isinstance(command, Dispatch)]


def test_what_is_written_counts_until_the_engine_says_otherwise() -> None:
    play = Play(spec("a", facts=EngineFacts(precision="fp16")), spec("b"))
    assert where(play.submit(1, require=FP16)) == ["a"]
    told(play, "a", precision="Q4_K - Medium")
    (refused,) = play.submit(2, require=FP16)
    assert isinstance(refused, Refuse)
    assert "has the labels that the rules require: precision fp16" in refused.fault.message
    told(play, "b", precision="F16")
    assert where(play.submit(3, require=FP16)) == ["b"]
    assert where(play.submit(4, require=frozenset({"precision=4bit"}))) == ["a"]


def test_who_is_left_out_and_why() -> None:
    play = Play(spec("a", facts=EngineFacts(precision="int4")), spec("b", facts=EngineFacts(precision="fp16")))
    explained = play.scheduler.explain(Job(1, "m", require=FP16), play.now)
    views = {view.backend: view for view in explained.candidates}
    assert (views["a"].removed_by, views["a"].lacks, views["a"].precision) == ("labels", ("precision=fp16",), "int4")
    assert views["b"].removed_by is None


def test_who_waits_goes_when_an_engine_says_that_it_fits() -> None:
    play = Play(spec("a", 1, facts=EngineFacts(precision="fp16")), spec("b", 1))
    assert where(play.submit(1, require=FP16)) == ["a"]
    assert where(play.submit(2, require=FP16)) == []
    assert where(told(play, "b", precision="fp16")) == ["b"]


def test_what_an_engine_said_holds_while_it_says_something_else_until_it_is_restarted() -> None:
    """One of its routes that is late must not refuse anybody."""
    play = Play(spec("a"))
    told(play, "a", precision="F16", version="1")
    assert told(play, "a", acceptance=0.5) == []
    view = play.view("a")
    assert (view.facts.precision, view.facts.version, view.facts.acceptance) == ("F16", "1", 0.5)
    assert where(play.submit(1, require=FP16)) == ["a"]
    play.scheduler.observe(Restarted("a"), play.now)
    told(play, "a", version="2")
    assert isinstance(play.submit(2, require=FP16)[0], Refuse)
    assert play.view("a").facts == EngineFacts(version="2")


def test_another_kind_of_engine_has_said_nothing() -> None:
    play = Play(spec("a"))
    play.scheduler.observe(Probed("a", True, M, kind="llama_cpp"), play.now)
    told(play, "a", precision="F16")
    assert where(play.submit(1, require=FP16 | {"engine=llama_cpp"})) == ["a"]
    play.scheduler.observe(Restarted("a"), play.now)
    play.scheduler.observe(Probed("a", True, M, kind="vllm"), play.now)
    assert isinstance(play.submit(2, require=FP16)[0], Refuse)
    assert where(play.submit(3, require=frozenset({"engine=vllm"}))) == ["a"]


def test_an_engine_that_says_that_it_speculates_leaves_structured_output_to_others() -> None:
    play = Play(spec("a"), spec("b"), policy="round_robin")
    told(play, "a", speculative=True)
    assert {where(play.submit(n, constrained=True))[0] for n in range(1, 5)} == {"b"}


def test_what_is_shown() -> None:
    play = Play(spec("a"))
    play.scheduler.observe(Load("a", 3.0, 1.0, 0.5, facts=EngineFacts(version="1")), play.now)
    play.scheduler.observe(Load("a", loaded=frozenset()), play.now + 1.0)  # a probe's
    play.now += 2.0
    view = play.view("a")
    assert (view.engine_running, view.engine_waiting, view.engine_kv_usage) == (3.0, 1.0, 0.5)
    assert (view.scraped_s, view.facts.version, view.state) == (2.0, "1", HealthState.HEALTHY)
