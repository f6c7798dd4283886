"""`tidegate top`: what a running proxy is and does, as it happens, for an operator at a terminal."""

import argparse
import os
import sys
from contextlib import suppress
from time import monotonic, sleep

from rich.text import Text

from proxy.cli.following import Follower
from proxy.cli.painting import console_of, painted, whole
from proxy.cli.terminal import Terminal, Waker
from proxy.report.screen.fleet import ORDERS
from proxy.report.screen.frame import VIEWS, View, most_skip, page, screen
from proxy.report.screen.watched import Watched
from proxy.report.tables import width_of

_DUMB = ("", "dumb", "unknown")
_STEPS: dict[str, int] = {"up": -1, "down": 1, "page up": -10, "page down": 10, "home": -1_000_000, "end": 1_000_000}


def run(arguments: argparse.Namespace) -> int:
    """0 when somebody ended it, 1 when there was no proxy to look at."""
    waker = Waker()
    follower = Follower(arguments.admin, waker)
    try:
        why = follower.begin()
        if why:
            print(f"tidegate top: {why}", file=sys.stderr)
            return 1
        if arguments.once:
            _print(follower)
        elif is_screen():
            _watch(follower, waker, arguments.interval)
        else:
            _lines(follower, arguments.interval)
    finally:
        follower.end()
        waker.close()
    return 0


def is_screen() -> bool:
    """Whether pictures can be shown; else lines are printed."""
    return sys.stdout.isatty() and os.environ.get("TERM", "") not in _DUMB


def _watch(follower: Follower, waker: Waker, interval_s: float) -> None:
    console = console_of(sys.stdout)
    picture = Picture(follower)
    view, drawn_at = View(), -interval_s
    with Terminal(waker) as terminal:
        while not terminal.over:
            now = monotonic()
            if now - drawn_at >= interval_s or picture.is_other(view, terminal.size):
                lines = picture.lines(view, terminal.size)
                terminal.draw(painted(lines, console, sys.stdout.encoding), picture.size)
                view, drawn_at = picture.view, now
            for key in terminal.wait(drawn_at + interval_s - monotonic()):
                if key == "q":
                    return
                view = pressed(view, key)


class Picture:
    """What is drawn, and of what."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._still: Watched | None = None
        """What is shown while somebody holds it."""
        self.view = View()
        self.size = (0, 0)

    def is_other(self, view: View, size: tuple[int, int]) -> bool:
        """Somebody wants to see something else."""
        return (view, size) != (self.view, self.size)

    def lines(self, view: View, size: tuple[int, int]) -> list[Text]:
        """As it is now; the view is corrected where it went too far."""
        with self._follower.lock:
            watched = self._follower.watched
            if not view.held:
                self._still = None
            elif self._still is None:
                self._still = watched.still()
            watched = self._still or watched
            self.view, self.size = view._replace(skip=min(view.skip, most_skip(watched, view))), size
            return screen(watched, self.view, self._follower.link, *size)


def pressed(view: View, key: str) -> View:
    """What somebody wants to see after a key."""
    if key in _STEPS:
        return view._replace(skip=max(view.skip + _STEPS[key], 0))
    following = VIEWS[(VIEWS.index(view.shows) + 1) % len(VIEWS)]
    if view.help:
        return view._replace(help=False)
    choices = {
        **{str(number): view._replace(shows=shows, skip=0) for number, shows in enumerate(VIEWS, 1)},
        "tab": view._replace(shows=following, skip=0),
        "n": view._replace(notable=not view.notable, skip=0),
        "s": view._replace(order=_next_order(view.order), skip=0),
        "space": view._replace(held=not view.held),
        "?": view._replace(help=True),
        "h": view._replace(help=True),
    }
    return choices.get(key, view)


def _next_order(order: str) -> str:
    """After the last one it is as at the start."""
    choices = ("", *ORDERS)
    return choices[(choices.index(order) + 1) % len(choices)]


def _lines(follower: Follower, interval_s: float) -> None:
    """Where no picture can be shown: all of it, again and again, until somebody ends it."""
    with suppress(KeyboardInterrupt):
        while True:
            _print(follower)
            sleep(interval_s)


def _print(follower: Follower) -> None:
    with follower.lock:
        lines = page(follower.watched, follower.link, width_of(sys.stdout), charts=False)
    sys.stdout.write(whole(lines, sys.stdout) + "\n")
    sys.stdout.flush()
