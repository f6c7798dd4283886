"""`/v1/files` and `/v1/batches`, as the official clients use them: who asks sees what is his, and nothing else.

Owns these answers. Files go to and from the disk in pieces; the store does the rest in its thread.
"""

import os
import re
from collections.abc import Callable
from typing import Any, Final

import orjson

from proxy.live.batches.files import PIECE_B, InUseError, Upload
from proxy.live.batches.form import take_form
from proxy.live.batches.store import StoreThread
from proxy.live.deliver import Writer
from proxy.live.downstream.connection import ClientConnection
from proxy.live.downstream.message import Message
from proxy.model.batch import WINDOWS_S, Batch, BatchState, Owner, StoredFile
from proxy.model.faults import Fault, FaultError, Kind, downstream
from proxy.model.outcome import SERVED, Outcome
from proxy.model.timeline import Clock
from proxy.wire import batch_objects, identity, store_routes
from proxy.wire.batch_lines import ENDPOINTS
from proxy.wire.body import invalid
from proxy.wire.headers import Head
from proxy.wire.store_routes import Does, StoreRoute

_JSON: Final = (b"content-type", b"application/json")
_WINDOW: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])\Z", re.ASCII)
_LONGEST_S: Final = 30 * 86400
_METADATA: Final = (16, 64, 512)
"""Keys, characters of a key, characters of a value."""
_LEAST_KEPT_S: Final = 3600


class BatchApi:
    """One per proxy. `wall`: seconds since 1970; `eta_s`: until a batch is done, as far as anybody knows."""

    def __init__(
        self,
        thread: StoreThread,
        wall: Clock,
        stall_s: Callable[[], float],
        eta_s: Callable[[int], float | None],
        changed: Callable[[Batch], None],
    ) -> None:
        """`stall_s`: for so long an upload may bring nothing; `changed`: told of batches that clients made or
        cancelled."""
        self._thread = thread
        self._store = thread.store
        self._wall = wall
        self._stall_s = stall_s
        self._eta_s = eta_s
        self._changed = changed

    async def answer(
        self, head: Head, message: Message, writer: Writer, connection: ClientConnection
    ) -> Outcome | None:
        """None: it is nothing of the store's. FaultError where it cannot be done."""
        found = store_routes.find(head.method, head.target)
        if found is None:
            return None
        owner = Owner(identity.whose(head), identity.tenant(head), bool(head.tenant))
        if found.does is Does.UPLOAD:
            return await self._upload(head, message, owner, writer, connection)
        if found.does is Does.CONTENT:
            return await self._content(found, owner, writer, connection)
        headers = [_JSON]
        shown = await self._shown(found, owner, message, headers)
        return writer.respond(200, headers, orjson.dumps(shown))

    async def _shown(
        self, found: StoreRoute, owner: Owner, message: Message, headers: list[tuple[bytes, bytes]]
    ) -> dict[str, Any]:
        ask, store, whose = self._thread.ask, self._store, owner.whose
        match found.does:
            case Does.LIST_FILES:
                page = store_routes.page(found.query, 10_000, 10_000)
                files = await ask(store.files.page, whose, page.after, page.limit + 1, page.purpose, newest=page.newest)
                if files is None:
                    raise FaultError(_no_file(page.after))
                return _list([batch_objects.of_file(one) for one in files], page.limit)
            case Does.FILE:
                file = await ask(store.files.find, whose, found.id)
                if file is None:
                    raise FaultError(_no_file(found.id))
                return batch_objects.of_file(file)
            case Does.DELETE:
                return await self._delete(found.id, whose)
            case Does.LIST:
                page = store_routes.page(found.query, 20, 100)
                batches = await ask(store.batches.page, whose, page.after, page.limit + 1)
                if batches is None:
                    raise FaultError(_no_batch(page.after))
                return _list([batch_objects.of_batch(one) for one in batches], page.limit)
            case Does.BATCH:
                batch = await ask(store.batches.find, whose, found.id)
                if batch is None:
                    raise FaultError(_no_batch(found.id))
                return self._of(batch, headers)
            case Does.CREATE:
                return self._of(await self._create(owner, message.body), headers)
            case Does.CANCEL:
                return self._of(await self._cancel(found.id, whose), headers)
        raise FaultError(downstream(Kind.METHOD, "This method is not allowed here."))

    # --- files

    async def _upload(
        self, head: Head, message: Message, owner: Owner, writer: Writer, connection: ClientConnection
    ) -> Outcome:
        upload = message.upload
        if upload is None:
            raise invalid("The body is empty; send the file as multipart/form-data.")
        try:
            if upload.length_b > self._store.settings.file:
                raise FaultError(too_large(self._store.settings.file))
            one = await self._take(head, message, owner)
        finally:
            if not upload.is_whole:
                connection.closing = True
            upload.drop()
        return writer.respond(200, [_JSON], orjson.dumps(batch_objects.of_file(one)))

    async def _take(self, head: Head, message: Message, owner: Owner) -> StoredFile:
        assert message.upload is not None
        store, thread = self._store, self._thread
        kept: Upload = await thread.ask(store.begin_upload, owner.whose, message.upload.length_b)
        try:
            form = await take_form(message.upload, head.content_type, self._stall_s(), self._writes(kept))
            created = int(self._wall())
            name = form.filename or kept.id
            one = StoredFile(kept.id, form.purpose, name, kept.size_b, created, form.expires(created))
            return await thread.ask(store.files.finish, kept, owner.whose, one)
        finally:
            thread.later(lambda: store.files.drop(kept))

    def _writes(self, kept: Upload) -> Callable[[bytes], Any]:
        async def write(data: bytes) -> None:
            if kept.size_b + len(data) > self._store.settings.file:
                raise FaultError(too_large(self._store.settings.file))
            await self._thread.ask(self._store.files.write, kept, data)

        return write

    async def _content(self, found: StoreRoute, owner: Owner, writer: Writer, connection: ClientConnection) -> Outcome:
        opened = await self._thread.ask(self._store.open_file, owner.whose, found.id)
        if opened is None:
            raise FaultError(_no_file(found.id))
        descriptor, one = opened
        try:
            headers = [(b"content-type", b"application/octet-stream")]
            writer.begin(200, headers, one.size_b)
            sent_b = 0
            while sent_b < one.size_b:
                data = await self._thread.run(os.pread, descriptor, PIECE_B, sent_b)
                if not data:
                    raise FaultError(_no_file(found.id))  # the disk has lost it: the body breaks off
                connection.send(data)
                sent_b += len(data)
                await connection.until_taken()
            connection.end()
        finally:
            self._thread.later(lambda: os.close(descriptor))
        return SERVED

    async def _delete(self, name: str, whose: bytes) -> dict[str, Any]:
        try:
            if not await self._thread.ask(self._store.files.delete, whose, name):
                raise FaultError(_no_file(name))
        except InUseError as error:
            text = f"The batch {error} runs on this file; cancel it first, or wait for its end."
            raise invalid(text, code="file_in_use") from error
        return {"id": name, "object": "file", "deleted": True}

    # --- batches

    async def _create(self, owner: Owner, body: bytes) -> Batch:
        fields = _fields(body)
        input_file = store_routes.checked_name(fields.get("input_file_id"), "input_file_id")
        endpoint = fields.get("endpoint")
        if endpoint not in ENDPOINTS:
            raise invalid(f"`endpoint` must be one of {', '.join(ENDPOINTS)}.", "endpoint")
        batch = await self._thread.ask(
            self._store.create_batch,
            owner,
            endpoint,
            input_file,
            _window(fields.get("completion_window", "24h")),
            _metadata(fields.get("metadata")),
            self._wall(),
            _expires_after(fields.get("output_expires_after")),
        )
        self._changed(batch)
        return batch

    async def _cancel(self, name: str, whose: bytes) -> Batch:
        batch = await self._thread.ask(self._store.batches.find, whose, name)
        if batch is None:
            raise FaultError(_no_batch(name))
        if batch.state in (BatchState.CANCELLING, BatchState.CANCELLED):
            return batch
        moved = await self._thread.ask(self._store.batches.move, batch.number, BatchState.CANCELLING, self._wall())
        if moved is None:
            raise invalid(f"A batch that is {batch.state} cannot be cancelled.", code="batch_not_cancellable")
        self._changed(moved)
        return moved

    def _of(self, batch: Batch, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
        eta_s = self._eta_s(batch.number)
        if eta_s is not None:
            headers.append((b"x-tidegate-eta", b"%d" % round(eta_s)))
        return batch_objects.of_batch(batch)


class Elsewhere:
    """Instead of it, where another proxy has the store: says where."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def answer(
        self, head: Head, message: Message, writer: Writer, connection: ClientConnection
    ) -> Outcome | None:
        """None: it is nothing of the store's. FaultError for all that is."""
        if store_routes.find(head.method, head.target) is None:
            return None
        if message.upload is not None:
            connection.closing = True
            message.upload.drop()
        text = f"Files and batches are kept by {self._url}: send these requests there (base_url: {self._url}/v1)."
        raise FaultError(downstream(Kind.ELSEWHERE, text))


def is_upload(head: Head) -> bool:
    """Whether its body is taken as it comes."""
    found = store_routes.find(head.method, head.target)
    return found is not None and found.does is Does.UPLOAD


def too_large(most_b: int) -> Fault:
    """Of a file."""
    return downstream(Kind.BODY_TOO_LARGE, f"The file is larger than {most_b} bytes (store.file).")


def _no_file(name: str) -> Fault:
    return downstream(Kind.UNKNOWN_ROUTE, f"No such File object: {name[:64]}", param="id", code="file_not_found")


def _no_batch(name: str) -> Fault:
    return downstream(Kind.UNKNOWN_ROUTE, f"No batch found with id {name[:64]!r}.", param="id", code="batch_not_found")


def _list(shown: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    return batch_objects.of_list(shown[:limit], has_more=len(shown) > limit)


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        raise invalid("The request body must be a JSON object.")
    return fields


def _window(value: object) -> tuple[str, int]:
    """As it was written, and in seconds. OpenAI has 24h alone; others are taken too."""
    found = _WINDOW.match(value) if isinstance(value, str) else None
    window_s = 0 if found is None else int(found[1]) * WINDOWS_S[found[2]]
    if not 0 < window_s <= _LONGEST_S:
        raise invalid("`completion_window` must be a time up to 30 days, such as 24h.", "completion_window")
    return str(value), window_s


def _metadata(value: object) -> dict[str, str] | None:
    if value is None:
        return None
    most, key_chars, value_chars = _METADATA
    if not isinstance(value, dict) or len(value) > most:
        raise invalid(f"`metadata` must be an object of at most {most} texts.", "metadata")
    for name, text in value.items():
        if not isinstance(text, str) or len(name) > key_chars or len(text) > value_chars:
            text = f"`metadata` has texts up to {value_chars} characters, by names up to {key_chars}."
            raise invalid(text, "metadata")
    return value


def _expires_after(value: object) -> int | None:
    """Seconds for which output files are kept; None: as long as any."""
    if value is None:
        return None
    seconds = value.get("seconds") if isinstance(value, dict) and value.get("anchor") == "created_at" else None
    if type(seconds) is not int or not _LEAST_KEPT_S <= seconds <= _LONGEST_S:
        text = f"must be {{anchor: created_at, seconds: {_LEAST_KEPT_S} to {_LONGEST_S}}}."
        raise invalid(f"`output_expires_after` {text}", "output_expires_after")
    return seconds
