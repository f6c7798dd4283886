"""Counters in one place: what is counted there is shown."""

from dataclasses import fields

from proxy.core.shown.views import Counts
from proxy.core.tally import Tally
from proxy.model.commands import Reason
from tests.unit.core.playing import Play, spec


def test_every_counter_begins_at_nothing_and_is_shown_as_it_stands() -> None:
    play = Play(spec("a", 1))
    tally = play.scheduler._state.tally
    for place, counter in enumerate(fields(Tally), 1):
        assert not getattr(tally, counter.name)
        setattr(tally, counter.name, {Reason.KV: place} if counter.name == "refusals" else place)
    counts = play.counts
    assert isinstance(counts, Counts)
    assert all(getattr(counts, counter.name) == getattr(tally, counter.name) for counter in fields(Tally))


def test_what_was_shown_does_not_change_afterwards() -> None:
    play = Play(spec("a", 1))
    before = play.counts
    play.scheduler._state.tally.refusals[Reason.KV] = 1
    play.submit(1)
    assert (before.offered, before.refusals) == (0, {})
    assert (play.counts.offered, play.counts.refusals) == (1, {Reason.KV: 1})
