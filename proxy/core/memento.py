"""What the scheduler has learned, as plain numbers that outlive it, and back into a new one.

    learned() ──> {"tidegate_state": 1, "backends": …, "pools": …, "answers": …, "scales": …, "days": …}
                        │ a file, perhaps another one than was written
    recall(document) <──┘      pools, answers, scales, what tenants used of a day: at once
    identified(…)              a backend: when its engine says that it is still the one that it was

Owns the form of the document and the doubt about it: whatever is not as it was written reads as not learned, and is
counted. Holds counts, seconds, tokens and names of backends, models, classes and tenants, as in the log. What was
learned of prompts (prefixes, sessions) is never in it: it would tell of texts, and the engines' caches are what it is
about.
"""

from collections.abc import Mapping
from typing import Any, Final

from proxy.core.dials import Dials
from proxy.core.fleet.backend import Backend
from proxy.core.fleet.fleet import Fleet
from proxy.core.fleet.pool import Pool
from proxy.core.jobs.learning import Learning
from proxy.core.tenancy.quotas import Quotas

FORM: Final = "tidegate_state"
VERSION: Final = 1
MAX_ROWS: Final = 4096
"""Answer lengths and scales that are read back."""
_COSTS: Final = 18
_KEY_PARTS: Final = 8
_MAX_CHARS: Final = 512
_MOST: Final = 1e6
"""No coefficient, count of seats or of seconds is larger."""
_MOST_TOKENS: Final = 1e10
_MOST_SAMPLES: Final = 1e15
_CHECKED: Final = 0.9
"""Of the first tokens that must be checked before admission refuses anybody, an earlier life counts for so many."""


class Memento:
    """One per scheduler."""

    def __init__(self, fleet: Fleet, learning: Learning, dials: Dials, quotas: Quotas) -> None:
        self._fleet = fleet
        self._books = learning
        self._dials = dials
        self._quotas = quotas
        self._engines: dict[str, str] = {}
        """What stands behind each backend, as far as it said."""
        self._kept: dict[str, Mapping[str, Any]] = {}
        """Of backends that have not said yet who they are."""
        self._kept_pools: dict[str, Mapping[str, Any]] = {}
        """Of pools none of whose backends has."""
        self.dropped = 0
        """Parts of what was recalled that were wrong, or about other engines."""

    # ---- out

    def learned(self) -> dict[str, Any]:
        """All of it: JSON's types only, and never an infinity."""
        backends = {b.name: self._kept.get(b.name) or self._of(b) for b in self._fleet.backends}
        days = self._quotas.used_of_days()
        return {
            FORM: VERSION,
            **({"days": [list(row) for row in days]} if days else {}),
            "backends": {name: found for name, found in backends.items() if found},
            "pools": {name: self._kept_pools.get(name) or _of_pool(p) for name, p in self._fleet.pools.items()},
            "answers": self._books.lengths.numbers(),
            "scales": self._books.lengths.scales(),
        }

    def _of(self, backend: Backend) -> dict[str, Any]:
        engine = self._engines.get(backend.name)
        if engine is None:
            return {}
        found: dict[str, Any] = {
            "engine": engine,
            "costs": backend.model.numbers(),
            "seats": None if backend.tells_seats else backend.seat_watch.seats,
            "kv_tokens": None if backend.spec.kv_tokens is not None else backend.kv_tokens,
            "service_s": backend.service_s,
            "residence_s": backend.residence_s,
            "loads": backend.loads.numbers(),
        }
        return {name: value for name, value in found.items() if value not in (None, [], {})}

    # ---- in

    def recall(self, document: Mapping[str, Any]) -> int:
        """Take in a `learned` of an earlier life, this version's; how many backends it knows of those that are here."""
        for row in _rows(document.get("answers")):
            self._recall_answer(row)
        for row in _rows(document.get("scales")):
            self._recall_scale(row)
        self._recall_days(_rows(document.get("days")))
        self._kept = _named(document.get("backends"), self._fleet.by_name)
        self._kept_pools = _named(document.get("pools"), self._fleet.pools)
        return len(self._kept)

    def identified(self, name: str, engine: str, now: float) -> None:
        """A backend said what it is: what is remembered of that very engine is taken in, of another one dropped."""
        self._engines[name] = engine
        kept = self._kept.pop(name, None)
        if kept is None:
            return
        if kept.get("engine") != engine:
            self.dropped += 1
            return
        backend = self._fleet.by_name[name]
        pool = self._kept_pools.pop(backend.spec.pool, None)
        if pool is not None:
            self._recall_pool(backend.pool, pool)
        self._recall_backend(backend, kept, now)

    def forget(self, name: str) -> None:
        """The backend is known no more."""
        self._engines.pop(name, None)
        self._kept.pop(name, None)

    def _recall_pool(self, pool: Pool, kept: Mapping[str, Any]) -> None:
        costs, calibration = _costs(kept.get("costs")), _numbers(kept.get("residuals"), 6)
        if costs is None or pool.model.prefill.samples:
            self.dropped += costs is None
            return
        pool.model.restore(costs)
        if calibration is not None and min(calibration) >= 0:
            pool.model.calibration.restore(calibration, int(_CHECKED * self._dials.min_samples))
            pool.recalled()

    def _recall_backend(self, backend: Backend, kept: Mapping[str, Any], now: float) -> None:
        costs = _costs(kept.get("costs"))
        if costs is not None and not backend.model.samples:
            backend.model.restore(costs)
        self.dropped += costs is None and "costs" in kept
        seats, kv_tokens = _positive(kept.get("seats"), _MOST), _positive(kept.get("kv_tokens"), _MOST_TOKENS)
        if seats is not None and backend.seats is None and seats == int(seats):
            backend.seat_watch.restore(seats, now)
            backend.seats = seats
        if kv_tokens is not None and backend.kv_tokens is None:
            backend.kv_tokens = kv_tokens
        if backend.service_s is None:
            backend.service_s = _positive(kept.get("service_s"), _MOST)
        if backend.residence_s is None:
            backend.residence_s = _positive(kept.get("residence_s"), _MOST)
        loads = kept.get("loads")
        if isinstance(loads, dict):
            known = {name: _positive(seconds, _MOST) for name, seconds in loads.items() if len(name) <= _MAX_CHARS}
            backend.loads.restore({name: seconds for name, seconds in known.items() if seconds is not None})

    def _recall_answer(self, row: list[Any]) -> None:
        key, numbers = row[:-3], _numbers(row[-3:], 3)
        if numbers is None or not _is_key(key) or min(numbers) <= 0 or max(numbers[:2]) > _MOST_TOKENS:
            self.dropped += 1
        else:
            self._books.lengths.restore(tuple(key), numbers[0], numbers[1], numbers[2])

    def _recall_days(self, rows: list[list[Any]]) -> None:
        found = []
        for row in rows:
            numbers = _numbers(row[2:], 2)
            if numbers is None or not _is_key(row[:2]) or min(numbers) < 0 or max(numbers) > _MOST_TOKENS:
                self.dropped += 1
            else:
                found.append((row[0], row[1], int(numbers[0]), numbers[1]))
        self._quotas.recall(found)

    def _recall_scale(self, row: list[Any]) -> None:
        numbers = _numbers(row[1:], 2)
        if numbers is None or not _is_key(row[:1]) or min(numbers) <= 0 or max(numbers) > _MOST_TOKENS:
            self.dropped += 1
        else:
            self._books.lengths.rescale(row[0], numbers[0], numbers[1])


def _of_pool(pool: Pool) -> dict[str, Any]:
    return {"costs": pool.model.numbers(), "residuals": pool.model.calibration.numbers()}


# ---- reading what anybody may have written


def _rows(value: Any) -> list[list[Any]]:
    """The last ones, which were used last."""
    return [row for row in value[-MAX_ROWS:] if isinstance(row, list)] if isinstance(value, list) else []


def _named(value: Any, known: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    if not isinstance(value, dict):
        return {}
    return {name: kept for name, kept in value.items() if name in known and isinstance(kept, dict)}


def _numbers(value: Any, count: int) -> list[float] | None:
    """So many finite numbers of a size that occurs."""
    if not isinstance(value, list) or len(value) != count:
        return None
    found = [_number(one) for one in value]
    return [one for one in found if one is not None] if None not in found else None


def _costs(value: Any) -> list[float] | None:
    """Two recursions: coefficients, variances that are positive, samples."""
    numbers = _numbers(value, _COSTS)
    if numbers is None or min(*numbers[4:9], *numbers[13:18]) < 0:
        return None
    return None if max(map(abs, [*numbers[:4], *numbers[9:13]])) > _MOST else numbers


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if -_MOST_SAMPLES <= value <= _MOST_SAMPLES else None


def _positive(value: Any, most: float) -> float | None:
    number = _number(value)
    return number if number is not None and 0 < number <= most else None


def _is_key(parts: list[Any]) -> bool:
    return 0 < len(parts) <= _KEY_PARTS and all(isinstance(part, str) and len(part) <= _MAX_CHARS for part in parts)
