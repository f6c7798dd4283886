"""Batches of the store: made, moved from state to state, read line by line, given results, and put into files.

A line has one result, whatever happens: `(batch, line)` is a key, and the counters change in the transaction that
brings the row. Blocks: only the thread of the store calls it; what is long (validation, output files) comes in pieces.
"""

import secrets
import sqlite3
from collections.abc import Sequence
from typing import Any, Final

import orjson

from proxy.core.bulk.states import may_follow
from proxy.live.batches.database import Database
from proxy.live.batches.files import Files
from proxy.model.batch import ENDED, Batch, BatchLine, BatchState, Complaint, LineResult, Owner

_IDLE: Final = ", ".join(f"'{state.value}'" for state in sorted(ENDED))
_COLUMNS: Final = (
    'number, id, whose, tenant, is_named, endpoint, input_file, "window", created, expires, state, model, metadata,'
    " output_file, error_file, total, done, failed, prompt_tokens, cached_tokens, completion_tokens, marks, errors,"
    " output_expires_s"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM batches"  # noqa: S608 - columns of ours
_ROWS_AT_ONCE: Final = 2000
_ERRORS_MAX: Final = 100


class Batches:
    """All batches of one store."""

    def __init__(self, database: Database, files: Files) -> None:
        self._database = database
        self._files = files

    # --- whole batches

    def create(
        self,
        owner: Owner,
        endpoint: str,
        input_file: str,
        window: str,
        metadata: dict[str, str] | None,
        created: int,
        expires: int,
        output_expires_s: int | None,
    ) -> Batch:
        """A new one, to be validated."""
        values = (
            f"batch_{secrets.token_hex(12)}",
            owner.whose,
            owner.tenant,
            owner.is_named,
            endpoint,
            input_file,
            window,
            created,
            expires,
            BatchState.VALIDATING.value,
            None if metadata is None else orjson.dumps(metadata).decode(),
            output_expires_s,
        )
        with self._database.transaction(lasting=True) as sql:
            sql.execute(
                'INSERT INTO batches(id, whose, tenant, is_named, endpoint, input_file, "window", created, expires,'
                " state, metadata, output_expires_s, marks, errors) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,'{}','[]')",
                values,
            )
        found = self.find(owner.whose, values[0])
        assert found is not None
        return found

    def find(self, whose: bytes, name: str) -> Batch | None:
        """None: there is none of this id for whoever asks."""
        row = self._database.sql.execute(f"{_SELECT} WHERE id=? AND whose=?", (name, whose)).fetchone()
        return None if row is None else _batch(row)

    def get(self, number: int) -> Batch:
        """One that there is."""
        return _batch(self._database.sql.execute(f"{_SELECT} WHERE number=?", (number,)).fetchone())

    def page(self, whose: bytes, after: str, count: int) -> list[Batch] | None:
        """So many of his, the newest first, behind the one called `after`. None: there is no such one."""
        start = 0
        if after:
            found = self.find(whose, after)
            if found is None:
                return None
            start = found.number
        rows = self._database.sql.execute(
            f"{_SELECT} WHERE whose=? AND (?=0 OR number<?) ORDER BY number DESC LIMIT ?", (whose, start, start, count)
        )
        return [_batch(row) for row in rows]

    def unfinished(self) -> list[Batch]:
        """Those that have not ended, the oldest first."""
        return [_batch(row) for row in self._database.sql.execute(f"{_SELECT} WHERE state NOT IN ({_IDLE}) ORDER BY 1")]

    def unfinished_of(self, whose: bytes) -> int:
        """How many of his have not ended."""
        query = f"SELECT count(*) FROM batches WHERE whose=? AND state NOT IN ({_IDLE})"  # noqa: S608
        return int(self._database.sql.execute(query, (whose,)).fetchone()[0])

    def states(self) -> dict[str, int]:
        """Batches in each state."""
        return dict(self._database.sql.execute("SELECT state, count(*) FROM batches GROUP BY state").fetchall())

    def move(self, number: int, after: BatchState, now: float, **more: Any) -> Batch | None:
        """Into another state, with these columns; None: that cannot follow its state."""
        with self._database.transaction(lasting=True) as sql:
            return self.moved(sql, number, after, now, **more)

    def moved(self, sql: sqlite3.Connection, number: int, after: BatchState, now: float, **more: Any) -> Batch | None:
        """The same within a transaction."""
        before = self.get(number)
        if not may_follow(before.state, after):
            return None
        marks = orjson.dumps({**before.marks, after.value: int(now)}).decode()
        columns = {"state": after.value, "marks": marks, **more}
        named = ", ".join(f"{name}=?" for name in columns)
        sql.execute(f"UPDATE batches SET {named} WHERE number=?", (*columns.values(), number))  # noqa: S608
        return self.get(number)

    def sweep(self, now: float, keep_s: float) -> None:
        """Forget those that ended long ago."""
        with self._database.transaction() as sql:
            sql.execute(
                f"DELETE FROM batches WHERE state IN ({_IDLE}) AND created<=?",  # noqa: S608
                (now - keep_s,),
            )

    # --- validation

    def forget_lines(self, number: int) -> None:
        """A validation that was broken off begins anew."""
        with self._database.transaction() as sql:
            sql.execute("DELETE FROM lines WHERE batch=?", (number,))

    def add_lines(self, number: int, lines: Sequence[BatchLine]) -> None:
        """Some of its lines."""
        rows = [(number, *line) for line in lines]
        with self._database.transaction() as sql:
            sql.executemany(
                "INSERT INTO lines(batch, head, line, start_b, size_b, custom_id) VALUES(?,?,?,?,?,?)", rows
            )

    def validated(self, number: int, model: str, total: int, now: float) -> Batch | None:
        """All its lines are there. None: it was cancelled meanwhile."""
        return self.move(number, BatchState.IN_PROGRESS, now, model=model, total=total)

    def refused(self, number: int, errors: Sequence[Complaint], now: float) -> Batch | None:
        """Its input is no batch."""
        told = [[one.code, one.message, one.line, one.param] for one in errors[:_ERRORS_MAX]]
        with self._database.transaction(lasting=True) as sql:
            sql.execute("DELETE FROM lines WHERE batch=?", (number,))
            return self.moved(sql, number, BatchState.FAILED, now, errors=orjson.dumps(told).decode())

    # --- lines and results

    def waiting(self, number: int, behind: tuple[bytes, int], count: int) -> list[BatchLine]:
        """The next lines without a result, in the order of their heads, behind that (head, line)."""
        rows = self._database.sql.execute(
            "SELECT head, line, start_b, size_b, custom_id FROM lines l WHERE batch=? AND (head, line)>(?,?)"
            " AND NOT EXISTS(SELECT 1 FROM results r WHERE r.batch=l.batch AND r.line=l.line)"
            " ORDER BY head, line LIMIT ?",
            (number, *behind, count),
        )
        return [BatchLine(*row) for row in rows]

    def put(self, number: int, results: Sequence[LineResult]) -> int:
        """Results, and the counters with them; how many were new. StoreFullError where there is no room for them."""
        new = good = prompt = cached = completion = size_b = 0
        self._files.reserve(sum(len(one.record) for one in results))
        reserved_b = sum(len(one.record) for one in results)
        try:
            with self._database.transaction() as sql:
                for one in results:
                    sql.execute(
                        "INSERT OR IGNORE INTO results(batch, line, is_good, record) VALUES(?,?,?,?)",
                        (number, one.line, one.is_good, one.record),
                    )
                    if not sql.execute("SELECT changes()").fetchone()[0]:
                        continue
                    new += 1
                    good += one.is_good
                    size_b += len(one.record)
                    prompt += one.prompt_tokens
                    cached += one.cached_tokens
                    completion += one.completion_tokens
                sql.execute(
                    "UPDATE batches SET done=done+?, failed=failed+?, prompt_tokens=prompt_tokens+?,"
                    " cached_tokens=cached_tokens+?, completion_tokens=completion_tokens+? WHERE number=?",
                    (good, new - good, prompt, cached, completion, number),
                )
        except BaseException:  # nothing of it is kept
            self._files.used_b -= reserved_b
            raise
        self._files.used_b -= reserved_b - size_b
        return new

    def results(self, number: int, behind: int, *, good: bool) -> list[tuple[int, bytes]]:
        """Some results in the order of the input, behind that line."""
        return self._database.sql.execute(
            "SELECT line, record FROM results WHERE batch=? AND line>? AND is_good=? ORDER BY line LIMIT 256",
            (number, behind, good),
        ).fetchall()

    def clear(self, number: int) -> bool:
        """Forget some of the rows of a batch that has its files; False: there are none left."""
        with self._database.transaction() as sql:
            freed = sql.execute(
                "SELECT coalesce(sum(length(record)), 0), count(*) FROM (SELECT record FROM results WHERE batch=?"
                " ORDER BY line LIMIT ?)",
                (number, _ROWS_AT_ONCE),
            ).fetchone()
            sql.execute(
                "DELETE FROM results WHERE rowid IN (SELECT rowid FROM results WHERE batch=? ORDER BY line LIMIT ?)",
                (number, _ROWS_AT_ONCE),
            )
            if not freed[1]:
                sql.execute("DELETE FROM lines WHERE batch=?", (number,))
        self._files.used_b -= int(freed[0])
        return bool(freed[1])

    def leftovers(self) -> list[int]:
        """Batches that have ended and still have rows."""
        having = "EXISTS(SELECT 1 FROM lines l WHERE l.batch=b.number)"
        query = f"SELECT number FROM batches b WHERE state IN ({_IDLE}) AND {having}"  # noqa: S608
        rows = self._database.sql.execute(query)
        return [int(row[0]) for row in rows]


def _batch(row: Sequence[Any]) -> Batch:
    (number, name, whose, tenant, is_named, endpoint, input_file, window, created, expires, state, model) = row[:12]
    (metadata, output_file, error_file, total, done, failed, prompt, cached, completion, marks, errors, keep) = row[12:]
    return Batch(
        number=number,
        id=name,
        owner=Owner(whose, tenant, bool(is_named)),
        endpoint=endpoint,
        input_file=input_file,
        window=window,
        created=created,
        expires=expires,
        state=BatchState(state),
        model=model,
        metadata=None if metadata is None else orjson.loads(metadata),
        output_file=output_file,
        error_file=error_file,
        total=total,
        done=done,
        failed=failed,
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=completion,
        marks=orjson.loads(marks),
        errors=tuple(Complaint(*one) for one in orjson.loads(errors)),
        output_expires_s=keep,
    )
