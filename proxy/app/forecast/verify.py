"""The best ways that `tune` found, measured: recorded traffic through a live proxy, as its file is and in each way.

Owns the order of these runs, that the proxy's file is as it was after them however they end, and what is said of one
that cannot be made. Every run sends the same requests behind words of its own, and kept answers are void before it, so
that none finds in a cache what the one before it left there.
"""

import asyncio
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from proxy.bench.admin import Admin, AdminError
from proxy.bench.beginning import RunError
from proxy.bench.comparison import Change, changes
from proxy.bench.options import Options
from proxy.bench.progress import Progress
from proxy.bench.promise import Promise
from proxy.bench.reconfigure import BACKUP, ReconfigureError, Reconfigurer
from proxy.bench.rows import Row
from proxy.bench.run import Bench
from proxy.bench.run_file import Arrivals
from proxy.bench.run_folder import BadRunError, read_run
from proxy.bench.series import Series, series_of
from proxy.bench.survey import DEFAULT_ADMIN, Survey, survey
from proxy.bench.target import TargetError, is_here
from proxy.bench.workloads.named import source_of
from proxy.bench.workloads.recorded import BadFileError
from proxy.model.units import format_duration
from proxy.workload.arrival import Arrival

HEADERS = ("measured", "95 % range", "TTFT P50", "TTFT P99", "n", "")
SEED = 1
"""Of what stands for the recorded prompts, in every run."""
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_KEY = "TIDEGATE_ADMIN_KEY"


class VerifyError(Exception):
    """Nothing can be measured there; the message says why."""


class InterruptedRunError(VerifyError):
    """By Ctrl-C or a signal."""


@dataclass(frozen=True, slots=True)
class Live:
    """The proxy, the file that it has read, and the traffic."""

    url: str
    file: Path
    trace: Path
    arrivals: Sequence[Arrival]
    """Of the trace, in its order, with their promises."""
    speed: float = 1.0
    admin: str | None = None
    admin_headers: Mapping[str, str] | None = None
    headers: Mapping[str, str] | None = None
    longest_s: float = float("inf")
    """Of all runs together: one that would not end by then is not begun."""

    def options(self, folder: Path) -> Options:
        """Of one run."""
        return Options(
            argv=("tidegate", "tune"),
            urls={"url": self.url},
            workload=("trace", str(self.trace)),
            loads=(Arrivals(process="trace", speed=self.speed),),
            out=folder,
            seeds=(SEED,),
            caches=("cold",),
            admin=self.admin,
            admin_headers=dict(self.admin_headers or {}),
            headers={"url": dict(self.headers or {})},
            asks_stages=False,
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """One way, held against the file as it is."""

    goodput: Change | None
    """None: it was not measured."""
    others: tuple[Change, ...] = ()
    why_not: str = ""

    @property
    def is_better(self) -> bool:
        """More good requests, by more than noise."""
        change = self.goodput
        return bool(change and change.absolute and change.is_real and change.absolute[0] > 0)

    def cells(self) -> tuple[str, ...]:
        """For `HEADERS`."""
        change = self.goodput
        if change is None or change.absolute is None:
            few = "too few requests" if change else "not measured"
            return few, "-", "-", "-", str(change.n[1]) if change else "-", "-"
        there, low, high = change.absolute
        verdict = "noise" if not change.is_real else "more than noise" if there > 0 else "worse"
        n = f"{change.n[0]:,}" if change.n[0] == change.n[1] else f"{change.n[0]:,}, {change.n[1]:,}"
        times = (self._first_token("p50_ttft"), self._first_token("p99_ttft"))
        return (f"{there:+.2f} points", f"{low:+.2f} to {high:+.2f}", *times, n, verdict)

    def _first_token(self, name: str) -> str:
        change = next((one for one in self.others if one.figure.name == name), None)
        if change is None or change.relative is None:
            return "-"
        there, low, high = change.relative
        return f"{there:+.1f} % ({low:+.1f} to {high:+.1f})"


class Promises:
    """Each request by what was promised to it: an SLO may hang on its class and on its prompt."""

    def __init__(self, arrivals: Sequence[Arrival], *found: Series) -> None:
        self._found = found
        self._by_row = {
            id(row): _promise(arrivals[detail.index])
            for series in found
            for row, detail in zip(series.rows, series.details, strict=True)
            if detail is not None
        }

    def is_kept(self, row: Row, /) -> bool:
        """A row of one of these series."""
        return self._by_row[id(row)].is_kept(row)


def check(live: Live) -> None:
    """Whether it can be measured, before anybody waits for a search. Raises VerifyError."""
    if find_spec("scipy") is None:
        raise VerifyError("scipy is not installed; fix: pip install 'tidegate[bench]'")
    backup = live.file.with_name(live.file.name + BACKUP)
    if backup.exists():
        raise VerifyError(f"a run that was killed left {backup}: move it back to {live.file}, reload, and try again")
    asyncio.run(_seen(live))


def verify(live: Live, texts: Sequence[str], folder: Path, progress: Progress) -> list[Measured]:
    """Each of these files against the one that is there, which is back when this returns or raises.

    Raises VerifyError, InterruptedRunError.
    """
    base, found = asyncio.run(_played(live, texts, folder, progress))
    return [held(live.arrivals, base, one) for one in found]


def held(arrivals: Sequence[Arrival], base: Series, one: Series | str) -> Measured:
    """One way against the base; a text says why it was not measured."""
    if isinstance(one, str):
        return Measured(None, (), one)
    found = changes(base, one, Promises(arrivals, base, one))
    goodput = next(change for change in found if change.figure.name == "goodput")
    return Measured(goodput, tuple(change for change in found if change is not goodput))


async def reread(live: Live) -> None:
    """The proxy takes the file as it is now. Raises VerifyError."""
    try:
        await Admin(live.admin or DEFAULT_ADMIN, dict(live.admin_headers or {})).reload()
    except AdminError as error:
        raise VerifyError(f"{live.file} was not read anew: {error}") from None


async def _played(
    live: Live, texts: Sequence[str], folder: Path, progress: Progress
) -> tuple[Series, list[Series | str]]:
    seen, admin = await _seen(live)
    plays = _Plays(live, folder, progress, seen)
    found: list[Series | str] = []
    began = time.monotonic()
    with _interrupting(plays):
        try:
            reconfigurer = Reconfigurer(admin, live.file, {})
            try:
                base = await plays.one(seen.config_hash)
                each_s = time.monotonic() - began
                if not isinstance(base, Series):
                    raise VerifyError(base)
                for number, text in enumerate(texts, start=1):
                    if time.monotonic() - began + each_s > live.longest_s:
                        found.append(f"the {format_duration(live.longest_s)} for measuring are over")
                    else:
                        found.append(await _tried(plays, reconfigurer, text, f"way {number}"))
            finally:
                await reconfigurer.restore()
        except (RunError, BadFileError, BadRunError, ReconfigureError) as error:
            raise VerifyError(str(error)) from None
        except OSError as error:
            raise VerifyError(f"{error.filename or folder}: {error.strerror or error}") from None
    return base, found


async def _tried(plays: "_Plays", reconfigurer: Reconfigurer, text: str, words: str) -> Series | str:
    """A way that the proxy does not take is no reason not to measure the others."""
    try:
        digest = await reconfigurer.place(text, words)
    except ReconfigureError as error:
        return str(error)
    return await plays.one(digest)


class _Plays:
    """The runs, one after another."""

    def __init__(self, live: Live, folder: Path, progress: Progress, seen: Survey) -> None:
        self._live, self._folder, self._progress, self._seen = live, folder, progress, seen
        self._bench: Bench | None = None
        self._number = 0
        self._interrupted = False

    def interrupt(self) -> None:
        """The run ends now, and no other begins."""
        self._interrupted = True
        if self._bench is not None:
            self._bench.interrupt()

    async def one(self, digest: str) -> Series | str:
        """Under the configuration that is in place. Raises RunError, BadRunError, OSError, InterruptedRunError."""
        options = self._live.options(self._folder / (f"way-{self._number}" if self._number else "as-it-is"))
        self._number += 1
        seen = replace(self._seen, config_hash=digest)
        self._bench = Bench(options, self._progress, source_of(list(options.workload)), seen, None)
        if not self._interrupted:
            await self._bench.run()
        if self._interrupted:
            raise InterruptedRunError("interrupted; the file is as it was")
        run = read_run(options.out)
        rows, details = [one.row for one in run.requests], [one.detail for one in run.requests]
        if not any(row.success for row in rows):
            why = next((detail.error for detail in details if detail.error), "it sent nothing")
            return f"no request was served: {why}"
        return Series(series_of(rows, details, run.file)[0].conditions, rows, details)


@contextmanager
def _interrupting(plays: _Plays) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in _ENDS:
        loop.add_signal_handler(number, plays.interrupt)
    try:
        yield
    finally:
        for number in _ENDS:
            loop.remove_signal_handler(number)


async def _seen(live: Live) -> tuple[Survey, Admin]:
    """Raises VerifyError."""
    try:
        seen = await survey(live.options(Path()), "chat" if _chats(live.arrivals) else "embeddings")
    except TargetError as error:
        raise VerifyError(str(error)) from None
    if not seen.found["url"].is_tidegate:
        raise VerifyError(f"{live.url} is no tidegate; --url names the proxy that runs {live.file}")
    if seen.admin is None:
        raise VerifyError(await _no_admin(live))
    if seen.config_file is None or not _is_same(seen.config_file, live.file):
        raise VerifyError(await _another_file(live, seen.admin))
    return seen, seen.admin


def _chats(arrivals: Sequence[Arrival]) -> bool:
    return any(arrival.output_tokens for arrival in arrivals) or not arrivals


async def _no_admin(live: Live) -> str:
    url = live.admin or (DEFAULT_ADMIN if is_here(live.url) else "")
    if not url:
        return f"--admin URL names the admin port of the proxy at {live.url}"
    try:
        status = await Admin(url, dict(live.admin_headers or {})).status()
    except AdminError as error:
        return f"{error}; --admin URL names the port, and {_KEY} in the environment its key"
    return f"the admin port at {url} is that of another proxy, which listens at {status.get('listen')}, not {live.url}"


async def _another_file(live: Live, admin: Admin) -> str:
    if not is_here(admin.url):
        return f"the proxy at {live.url} is on another machine, and its file cannot be changed from here"
    try:
        source = str((await admin.status()).get("config", {}).get("source") or "")
    except AdminError as error:
        return str(error)
    if _is_same(Path(source), live.file):
        return f"{live.file} is not what the proxy at {live.url} has read: it was changed since; tidegate reload"
    return f"the proxy at {live.url} runs {source or 'no file'}, not {live.file}"


def _is_same(one: Path, other: Path) -> bool:
    return one.is_file() and one.samefile(other)


def _promise(arrival: Arrival) -> Promise:
    slo = arrival.slo
    ttft, tpot, e2e = (None if limit is None else limit * 1e3 for limit in (slo.ttft_s, slo.tpot_s, slo.e2e_s))
    return Promise(ttft, tpot, e2e)
