"""What may become of a batch."""

from itertools import product

from proxy.core.bulk.states import can_be_cancelled, is_ended, may_follow
from proxy.model.batch import ENDED, BatchState


def test_nothing_follows_an_end_and_every_other_state_leads_to_one() -> None:
    for state in BatchState:
        reached, new = {state}, {state}
        while new:
            new = {b for a, b in product(new, BatchState) if may_follow(a, b)} - reached
            reached |= new
        assert is_ended(state) == (state in ENDED) == (reached == {state})
        assert reached & ENDED


def test_only_what_has_not_ended_and_writes_no_files_can_be_cancelled() -> None:
    assert {state for state in BatchState if can_be_cancelled(state)} == {"validating", "in_progress"}
