"""What a call says: in order, and once."""

from proxy.core.outbox import Outbox
from proxy.model.commands import Abort, Dispatch


def test_what_is_taken_is_the_callers_and_gone() -> None:
    outbox, one, two = Outbox(), Dispatch((1,), "a", 1), Dispatch((2,), "b", 2)
    stop = Abort((3,), 3, "c")
    outbox.add(one)
    outbox.extend([stop, two])
    taken = outbox.take()
    assert taken == [one, stop, two]
    assert outbox.take() == []
    outbox.add(one)
    assert taken == [one, stop, two]
