"""What a client connection hands over."""

from proxy.live.downstream.message import Message


def test_a_request_as_it_is_read_most_often_has_nothing_else() -> None:
    message = Message(None, b"{}", True, False)
    assert (message.fault, message.charge_b, message.target, message.upload) == (None, 0, b"", None)
