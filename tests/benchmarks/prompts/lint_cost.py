"""What the prefix lint costs a request: CPU µs, on one core. `python -m tests.benchmarks.prompts.lint_cost`."""

from collections.abc import Callable
from time import process_time
from typing import Any

from proxy.wire.prompts.lint import FIRST, ONE_IN, PrefixLint
from proxy.wire.prompts.stable_part import stable_part

_RULES = "\n".join(
    f"Rule {number}: do thing {number * 7} with care and {number * 31 % 17} spoons." for number in range(120)
)
_COUNT = 400
_ROUNDS = 15


def _chat(first_line: str) -> dict[str, Any]:
    talk = [{"role": "user", "content": f"message {number}"} for number in range(40)]
    return {"messages": [{"role": "system", "content": f"{first_line}\n{_RULES}"}, *talk]}


def _best_us(work: Callable[[dict[str, Any]], None], requests: list[dict[str, Any]]) -> float:
    times = []
    for _ in range(_ROUNDS):
        start = process_time()
        for fields in requests:
            work(fields)
        times.append(process_time() - start)
    return min(times) / len(requests) * 1e6


def main() -> None:
    """Prints a table."""
    print(f"system prompt of {len(_RULES)} bytes; all of the first {FIRST}, then 1 in {ONE_IN}; µs per request")
    for name, line in (("same", "Be kind."), ("changes", "Request {}")):
        requests = [_chat(line.format(number)) for number in range(_COUNT)]
        lint, looked = PrefixLint(), PrefixLint()
        mean_us = _best_us(lambda fields, lint=lint: lint.saw("t", "m", "", fields), requests)
        each_us = _best_us(
            lambda fields, lint=looked: lint._look(("t", "m")[0], "m", "", stable_part(fields)), requests
        )
        print(f"{name:8} {mean_us:6.2f} on average, {each_us:6.1f} for one that is looked at")


if __name__ == "__main__":
    main()
