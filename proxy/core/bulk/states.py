"""What may become of a batch: the one table.

validating ─▶ in_progress ─▶ finalizing ─▶ completed | expired
    │ └▶ failed    └─▶ cancelling ─▶ cancelled
    └─▶ cancelling
"""

from typing import Final

from proxy.model.batch import ENDED, BatchState

_AFTER: Final[dict[BatchState, frozenset[BatchState]]] = {
    BatchState.VALIDATING: frozenset({BatchState.IN_PROGRESS, BatchState.FAILED, BatchState.CANCELLING}),
    BatchState.IN_PROGRESS: frozenset({BatchState.FINALIZING, BatchState.CANCELLING}),
    BatchState.FINALIZING: frozenset({BatchState.COMPLETED, BatchState.EXPIRED}),
    BatchState.CANCELLING: frozenset({BatchState.CANCELLED}),
}


def may_follow(state: BatchState, after: BatchState) -> bool:
    """Whether a batch in `state` can come into `after`."""
    return after in _AFTER.get(state, frozenset())


def can_be_cancelled(state: BatchState) -> bool:
    """Whether there is anything to be cancelled."""
    return may_follow(state, BatchState.CANCELLING)


def is_ended(state: BatchState) -> bool:
    """Whether nothing follows."""
    return state in ENDED
