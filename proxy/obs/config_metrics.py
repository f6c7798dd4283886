"""What is told of the configuration that is in place, and of the attempts to change it: metrics, and the view of them
on the admin port.

Owns the counts. Times are seconds since 1970.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

from prometheus_client.metrics_core import Metric

from proxy.obs.families import counter, counters, gauge, gauges

MAX_ERRORS: Final = 20
"""Lines of one attempt that are kept."""


class ConfigState:
    """One per process."""

    def __init__(self, source: str, digest: str, now: float) -> None:
        """As it is at the start."""
        self.source = source
        self.digest = digest
        """Of the text of the file that is in place; empty: there is none."""
        self.loaded_at = now
        """When what is in place was put there."""
        self.ok = True
        """Whether the last attempt changed what it was to change."""
        self.tried_at = now
        self.trigger = "start"
        self.errors: list[str] = []
        """Of the last attempt."""
        self.waiting: list[str] = []
        """Changes of the file that wait for a restart, a line each."""
        self.reloads: Counter[tuple[str, str]] = Counter()
        """By trigger and result: ok, error, rolled_back."""
        self.names: Callable[[], list[dict[str, Any]]] = list
        """What is known of names that stand for several backends."""
        self.merged = 0
        """Requests for a reload that had theirs with another one."""

    def loaded(self, trigger: str, digest: str, waiting: list[str], now: float) -> None:
        """Another one is in place."""
        self._tried(trigger, "ok", now)
        self.digest, self.loaded_at, self.waiting = digest, now, waiting

    def failed(self, trigger: str, errors: list[str], now: float) -> None:
        """The one that was is in place still."""
        self._tried(trigger, "error", now)
        self.ok, self.errors = False, errors[:MAX_ERRORS]

    def rolled_back(self, digest: str, reason: str, now: float) -> None:
        """An earlier one is in place again: the file is not."""
        self._tried("trial", "rolled_back", now)
        self.ok, self.errors = False, [reason]
        self.digest, self.loaded_at, self.waiting = digest, now, []

    def view(self) -> dict[str, Any]:
        """For people and programs; JSON's types only."""
        return {
            "source": self.source,
            "hash": self.digest,
            "loaded_at": self.loaded_at,
            "last_attempt": {
                "at": self.tried_at,
                "trigger": self.trigger,
                "successful": self.ok,
                "errors": list(self.errors),
            },
            "restart_needed": list(self.waiting),
            "reloads": {f"{trigger}:{result}": count for (trigger, result), count in sorted(self.reloads.items())},
            "merged": self.merged,
            "names": self.names(),
        }

    def families(self) -> Iterator[Metric]:
        """All series."""
        yield gauge(
            "tidegate_config_last_reload_successful",
            "Whether the last attempt to load a configuration succeeded, and was not rolled back.",
            float(self.ok),
        )
        yield gauge(
            "tidegate_config_last_reload_timestamp_seconds",
            "When the configuration that is in place was loaded, seconds since 1970.",
            self.loaded_at,
        )
        yield counters(
            "tidegate_config_reloads",
            "Attempts to load a configuration since the start, by what asked for it and how it ended.",
            ("trigger", "result"),
            self.reloads.items(),
        )
        yield counter(
            "tidegate_config_reloads_merged",
            "Requests for a reload that were answered by one for several.",
            self.merged,
        )
        yield gauge(
            "tidegate_config_restart_needed",
            "Options that the file changes and that wait for a restart.",
            len(self.waiting),
        )
        yield gauges(
            "tidegate_config_file_info",
            "1; the hash is of the text of the file that is in place.",
            ("hash",),
            [((self.digest,), 1.0)],
        )

    def _tried(self, trigger: str, result: str, now: float) -> None:
        self.ok, self.errors, self.trigger, self.tried_at = True, [], trigger, now
        self.reloads[trigger, result] += 1
