"""`transformers serve`, against what was captured of it."""

from proxy.engines.transformers import TRANSFORMERS
from tests.engines_captures.reading import capture


def test_its_streams_end_without_done() -> None:
    assert not TRANSFORMERS.says_done
    assert b"data: [DONE]" not in capture("transformers-serve/chat_stream").body


def test_it_says_500_when_the_client_is_wrong() -> None:
    assert capture("transformers-serve/err_messages_wrong_type").status == 500
    assert TRANSFORMERS.answers_500_to_bad_requests


def test_its_routes_give_it_away() -> None:
    assert TRANSFORMERS.sign is not None
    assert TRANSFORMERS.sign.reads(capture("transformers-serve/openapi").body)
    assert TRANSFORMERS.sign.is_worth_asking([], "uvicorn")
    assert not TRANSFORMERS.sign.is_worth_asking([], "cloudflare")


def test_its_entries() -> None:
    assert TRANSFORMERS.is_entry is not None
    assert TRANSFORMERS.is_entry({"created": 0, "status": {"value": "unloaded"}})
    assert not TRANSFORMERS.is_entry({"created": 0, "status": "loaded"})
    assert not TRANSFORMERS.is_entry({"created": False, "status": {"value": "loaded"}})
