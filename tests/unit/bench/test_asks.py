"""Requests as bytes: the same in every run, but for the model and a salt, of which the digest knows nothing."""

import json

import pytest

from proxy.bench.asks import Ask, Dressing, body_of, digest

CHAT = Ask("chat", {"messages": [{"role": "user", "content": "hi"}], "stream": True})
PLAIN = Dressing("m", includes_usage=True)


def test_a_body() -> None:
    fields = json.loads(body_of(CHAT, None, PLAIN))
    assert fields == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_what_a_server_does_not_take_is_left_out() -> None:
    assert "stream_options" not in json.loads(body_of(CHAT, None, Dressing("m", includes_usage=False)))
    assert json.loads(body_of(CHAT, None, Dressing("m", includes_usage=True, ignores_end=True)))["ignore_eos"] is True
    vectors = json.loads(body_of(Ask("embeddings", {"input": "x"}), None, PLAIN))
    assert vectors == {"model": "m", "input": "x"}


def test_a_model_of_its_own_stays_where_none_is_asked_for() -> None:
    ask = Ask("chat", {"model": "own", "messages": [{"role": "user", "content": "x"}]})
    assert json.loads(body_of(ask, None, Dressing("", includes_usage=True)))["model"] == "own"
    assert json.loads(body_of(ask, None, PLAIN))["model"] == "m"


def test_prepared_messages_go_before() -> None:
    prepared = [{"role": "user", "content": "found"}]
    assert json.loads(body_of(CHAT, prepared, PLAIN))["messages"] == prepared
    assert digest(CHAT, prepared) != digest(CHAT, None)


@pytest.mark.parametrize(
    ("fields", "salted"),
    [
        ({"messages": [{"role": "user", "content": "a"}]}, {"messages": [{"role": "user", "content": "S a"}]}),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "S"}, {"type": "text", "text": "a"}]}]},
        ),
        ({"prompt": "a"}, {"prompt": "S a"}),
        ({"input": ["a", "b"]}, {"input": ["S a", "S b"]}),
    ],
)
def test_a_salt_stands_in_front_of_each_prompt(fields: dict[str, object], salted: dict[str, object]) -> None:
    ask = Ask("embeddings", fields)
    assert json.loads(body_of(ask, None, PLAIN._replace(salt="S"))) == {"model": "m", **salted}
    assert ask.fields == fields
    assert digest(ask, None) == digest(Ask("embeddings", fields), None)
