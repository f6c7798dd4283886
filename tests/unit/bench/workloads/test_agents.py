"""Agents: every call has its result, every step begins with the step before, and gaps are those of tools."""

import itertools
import json

from proxy.bench.workloads.agents import TOOLS, Agent, Tools


def test_a_loop() -> None:
    for number in range(20):
        asks = Agent().session(3, number).asks
        assert 3 <= len(asks) <= 10
        for before, after in itertools.pairwise(asks):
            old, new = before.fields["messages"], after.fields["messages"]
            assert new[: len(old)] == old
            call, result = new[len(old) :]
            assert call["tool_calls"][0]["id"] == result["tool_call_id"]
            function = call["tool_calls"][0]["function"]
            described = next(tool["function"] for tool in TOOLS if tool["function"]["name"] == function["name"])
            assert sorted(json.loads(function["arguments"])) == sorted(described["parameters"]["required"])
        assert asks[0].gap_s == 0.0
        assert all(0 < ask.gap_s <= 20 for ask in asks[1:])


def test_all_loops_share_a_beginning() -> None:
    assert len({Agent().session(3, n).asks[0].fields["messages"][0]["content"] for n in range(5)}) == 1


def test_one_question_with_tools() -> None:
    (ask,) = Tools().session(1, 1).asks
    assert ask.fields["tools"] == TOOLS
    assert ask.fields["tool_choice"] == "auto"
