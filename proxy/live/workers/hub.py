"""The decider's end: the other workers' jobs are submitted as those of this process are, each with a box that sends its
commands away.

    worker ─SUBMIT─▶ driver.submit(job, peer)   peer.put(command) ─COMMAND─▶ worker
           ─REPORT─▶ driver.report
    a link that breaks ─▶ all that was open of that worker has left: its permits come back, and nobody else's

Owns the peers, and whose jobs are whose. Windows and answers that are shared stay within a worker: who carries out a
call of several jobs has to have the clients of all of them.
"""

import asyncio
import logging
import pickle
import socket
from typing import Final, Protocol

from proxy.core.scheduler import Scheduler
from proxy.live.driver import Driver
from proxy.live.workers import words
from proxy.live.workers.codec import command_told, job_of, report_of
from proxy.live.workers.link import Link, Message
from proxy.live.workers.records import record_of
from proxy.model.commands import Abort, Command, Dispatch, Failed, Finished, Flowed, Refuse
from proxy.model.faults import NOT_REACHED
from proxy.model.request import Job
from proxy.model.timeline import Clock
from proxy.obs.record import Record

_log = logging.getLogger("tidegate.workers")
JOB_BITS: Final = 40
"""The id of a job: what is above them is the serial number of the process that it came to."""


class Host(Protocol):
    """The process that the hub is in."""

    def record(self, record: Record) -> None:
        """A request is over."""

    def unreached(self, backend: str) -> None:
        """A worker could not connect to it."""

    def config(self) -> bytes:
        """What workers are to serve by, pickled."""


class Hub:
    """One, in the process that decides. `version`: what a worker must be, too."""

    def __init__(
        self,
        driver: Driver,
        scheduler: Scheduler,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        host: Host,
        version: str,
    ) -> None:
        self.driver = driver
        self.scheduler = scheduler
        self.clock = clock
        self.host = host
        self.version = version
        self.peers: set[Peer] = set()
        """Those that are linked."""
        self._loop = loop

    async def join(self, connection: socket.socket) -> None:
        """A worker is at the other end."""
        await self._loop.create_connection(lambda: Peer(self, self._loop).link, sock=connection)

    def tell_config(self, config: bytes) -> None:
        """Another one is in place."""
        for peer in self.peers:
            peer.link.send((words.CONFIG, config))

    def open_jobs(self) -> int:
        """Of all workers."""
        return sum(peer.open_jobs for peer in self.peers)

    def close(self) -> None:
        """Everybody decides alone from now on."""
        for peer in [*self.peers]:
            peer.leave()


class Peer:
    """One worker, as long as its link lasts: the box of all of its jobs."""

    def __init__(self, hub: Hub, loop: asyncio.AbstractEventLoop) -> None:
        self._hub = hub
        self.link = Link(loop, self._heard, self._lost)
        self.number = 0
        """Of the worker; 0: it has not said who it is."""
        self._serial = 0
        self._jobs: dict[int, Job] = {}
        """Open, or over and not told of."""
        self._open: set[int] = set()
        self._sent: dict[int, Dispatch] = {}
        """Attempts that are out."""
        self._last: Command | None = None
        self._apart = b""

    @property
    def open_jobs(self) -> int:
        """Its jobs that are not over."""
        return len(self._open)

    def leave(self) -> None:
        """It decides alone from now on."""
        self.link.close()
        self._lost("it was asked to decide alone")

    def put(self, command: Command) -> None:
        """A command for its jobs; one for several comes once for each."""
        if command is self._last:
            return
        quota = None
        self._last = None if isinstance(command, Refuse) or len(command.jobs) < 2 else command
        if isinstance(command, Abort):
            self._sent.pop(command.attempt, None)
        else:
            job_id = command.job_id if isinstance(command, Refuse) else command.jobs[0]
            job = self._jobs.get(job_id)
            view = None if job is None else self._hub.scheduler.quota_for(job, self._hub.clock())
            quota = None if view is None else pickle.dumps(view)
            if isinstance(command, Dispatch):
                self._sent.setdefault(command.attempt, command)
            else:
                self._open.discard(job_id)
        self.link.send((words.COMMAND, command_told(command), quota))

    # --- what the worker says

    def _heard(self, message: Message) -> None:
        word = message[0]
        if not self.number:
            self._greeted(message)
        elif word == words.SUBMIT:
            job = job_of(message[1], self._apart)
            if job.id >> JOB_BITS != self._serial:
                raise ValueError(f"job {job.id} is not of process {self._serial}")
            self._jobs[job.id] = job
            self._open.add(job.id)
            self._hub.driver.submit(job, self)
        elif word == words.REPORT or word == words.ENDED:
            self._reported(message)
        elif word == words.RECORD:
            self._hub.host.record(record_of(message[1], self._jobs.pop(message[1][0], None)))
        elif word == words.LEFT:
            self._left(message[1], message[2])
        else:
            self._asked(message)

    def _greeted(self, message: Message) -> None:
        hub = self._hub
        if message[0] != words.HELLO or message[1] != hub.version:
            said = message[1] if message[0] == words.HELLO else "no worker at all"
            why = f"it is {said}, and the decider is {hub.version}: restart all of Tidegate"
            _log.error("a worker was rejected: %s", why)
            self.link.send((words.REJECTED, why))
            self.link.close()
            return
        self.number, self._serial = message[2], message[3]
        self._apart = b"%d:" % self.number
        hub.peers.add(self)
        self.link.send((words.CONFIG, hub.host.config()))

    def _reported(self, message: Message) -> None:
        report = report_of(message[1])
        driver = self._hub.driver
        if isinstance(report, Finished | Failed):
            sent = self._sent.pop(report.attempt, None)
            if sent is not None:
                job = self._jobs.get(sent.jobs[0])
                if job is not None:
                    job.metered = message[2]
                if isinstance(report, Failed) and report.fault.kind in NOT_REACHED:
                    self._hub.host.unreached(sent.backend)
        if message[0] == words.REPORT:
            driver.report(report)
            return
        ends = message[3]
        for job_id in ends:
            self._open.discard(job_id)
        if isinstance(report, Finished):
            driver.ended_all([*ends], report)
        elif isinstance(report, Failed):
            driver.ended(ends[0], report)

    def _left(self, job_id: int, metered: int | None) -> None:
        job = self._jobs.get(job_id)
        if job is not None:
            job.metered = metered
        self._open.discard(job_id)
        self._hub.driver.left(job_id)

    def _asked(self, message: Message) -> None:
        hub, word = self._hub, message[0]
        now = hub.clock()
        if word == words.FLOWED:
            hub.driver.report(Flowed(message[1], message[2], message[3]))
        elif word == words.ADOPT:
            job = job_of(message[1], self._apart)
            self._open.add(job.id)
            hub.scheduler.adopt(job, message[2], now)
        elif word == words.SILENT:
            _, attempt, silent_s, names, token_s = message
            fits = None if names is None else frozenset(names).__contains__
            if hub.scheduler.gives_up(attempt, silent_s, now, fits, token_s):
                self.link.send((words.YES, attempt, word))
        elif word == words.ASLEEP and hub.scheduler.sleeps_on(message[1]):
            self.link.send((words.YES, message[1], word))

    def _lost(self, why: str) -> None:
        """Its clients are gone with it, or it decides alone: either way nothing of it is ours any more."""
        hub = self._hub
        hub.peers.discard(self)
        if self.number:
            _log.warning("worker %d is gone: %s; %d of its requests were open", self.number, why, len(self._open))
        for job_id in [*self._open]:
            hub.driver.left(job_id)
        self._open.clear()
