"""`tidegate bench quality`: the answers of a model held against those of a reference, with what each took."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from proxy.bench.quality import Pair, Quality, paired, pairs_of, quality
from proxy.bench.run_folder import BadRunError, read_run
from proxy.bench.series import percent
from proxy.report.tables import table, width_of

_SHOWN_CHARS: Final = 48


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One paired run, or two of the same plan."""
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        type=Path,
        help="folder of a paired run (bench --url MODEL --direct REFERENCE --keep-text), or of two runs: the model's, "
        "then the reference's",
    )
    parser.add_argument(
        "--show", metavar="N", type=int, default=5, help="so many of those that part first (default: 5)"
    )
    parser.add_argument("--json", action="store_true", help="everything, for programs")


def run(arguments: argparse.Namespace) -> int:
    """Read, pair, print."""
    folders: list[Path] = arguments.runs
    if len(folders) > 2:
        return _said("one paired run, or two: the model's and the reference's")
    try:
        runs = [read_run(folder) for folder in folders]
    except BadRunError as error:
        return _said(str(error))
    pairs, unanswered = pairs_of(runs[0]) if len(runs) == 1 else paired(runs[0].requests, runs[1].requests)
    if not pairs:
        return _said("no prompt was answered by both: is it a paired run (--direct), or are both of one seed and load?")
    if not any(pair.ours.detail.text_digest for pair in pairs):
        return _said("the answers have no text to compare")
    found = quality(pairs, unanswered)
    if arguments.json:
        print(json.dumps(asdict(found), indent=2))
        return 0
    print("\n".join(_lines(found)))
    print(_sides(found))
    for line in _examples(pairs, arguments.show):
        print(line)
    return 0


def _lines(found: Quality) -> Iterator[str]:
    low, high = found.same_range
    left = f"; {found.unanswered:,} more lack an answer of either" if found.unanswered else ""
    yield f"{found.pairs:,} prompts answered by both{left}"
    same = percent(found.same / found.pairs)
    yield f"the same to the last character: {same} (95 %: {percent(low)} to {percent(high)})"
    if found.parts_at is not None and found.shared is not None:
        shared = percent(found.shared)
        yield f"where they part: after {found.parts_at:,.0f} characters (median); {shared} is shared on average"
    elif found.same < found.pairs:
        yield "where they part: unknown, the run kept no texts (--keep-text)"
    if found.length is not None:
        yield f"length: {found.length:.3f} times the reference's tokens, request by request"
    yield ""


def _sides(found: Quality) -> str:
    names = ("output_tokens", "TTFT ms", "TPOT ms", "E2E ms")
    rows = [
        (name, *("-" if value is None else f"{value:,.1f}" for value in asdict(side).values()))
        for name, side in (("model", found.ours), ("reference", found.reference))
    ]
    return table(("median", *names), rows, width=width_of(sys.stdout))


def _examples(pairs: Sequence[Pair], count: int) -> Iterator[str]:
    """Those that part soonest: where a reader looks."""
    parting = sorted(
        ((at, pair) for pair in pairs if (at := pair.parts_at) is not None), key=lambda one: (one[0], one[1].index)
    )
    for at, pair in parting[: max(0, count)]:
        yield f"request {pair.index} of {pair.cell}, from character {at:,}:"
        for name, text in zip(("model", "reference"), pair.texts, strict=True):
            yield f"  {name:<9}  {json.dumps(text[at : at + _SHOWN_CHARS], ensure_ascii=False)}"


def _said(text: str) -> int:
    print(f"bench quality: {text}", file=sys.stderr)
    return 1
