"""An engine with `/v1/realtime`, served by the `websockets` library: answers events of OpenAI's Realtime API."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve, unix_serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

WORDS = ("It ", "tunnels ", "bytes.")


class RealtimeEngine:
    """What was asked of it, and whom it talks with."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.events: list[dict[str, Any]] = []
        self.talks: list[ServerConnection] = []
        self.closes: list[tuple[int | None, str | None]] = []
        """Codes and reasons with which they ended."""
        self.refuses = 0
        """A status for every handshake; 0: they are taken."""
        self.url = ""
        self.server: Server | None = None

    def asks(self, connection: ServerConnection, request: Request) -> Response | None:
        """Handshakes, and what a proxy asks any engine."""
        if not request.path.startswith("/v1/realtime"):
            return connection.respond(HTTPStatus.OK, json.dumps({"object": "list", "data": [{"id": "m"}]}))
        self.requests.append(request)
        if self.refuses:
            return connection.respond(HTTPStatus(self.refuses), json.dumps({"error": {"message": "No such route"}}))
        return None

    async def talk(self, connection: ServerConnection) -> None:
        """One session."""
        self.talks.append(connection)
        try:
            await connection.send(json.dumps({"type": "session.created", "event_id": "e0", "session": {"id": "s"}}))
            async for message in connection:
                if isinstance(message, bytes):
                    await connection.send(message)
                    continue
                event = json.loads(message)
                self.events.append(event)
                await self._answer(connection, event)
        except ConnectionClosed:
            pass
        finally:
            self.closes.append((connection.close_code, connection.close_reason))

    async def _answer(self, connection: ServerConnection, event: dict[str, Any]) -> None:
        if event["type"] == "leave":
            await connection.close(4000, "enough")
        elif event["type"] == "break":
            connection.transport.abort()
        elif event["type"] == "flood":
            for _ in range(event["count"]):
                await connection.send(b"x" * event["size"])
        elif event["type"] == "response.create":
            for number, word in enumerate(WORDS):
                delta = {"type": "response.output_text.delta", "event_id": f"e{number}", "delta": word}
                place = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
                await connection.send(json.dumps({**delta, **place}))
            await connection.send(json.dumps({"type": "response.done", "event_id": "e9", "response": {"id": "r"}}))
        else:
            await connection.send(json.dumps({"type": "echo", "of": event}))


def _chosen(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return next((name for name in offered if name == "realtime"), None)


@asynccontextmanager
async def realtime_engine(path: str = "", **options: Any) -> AsyncIterator[RealtimeEngine]:
    """A started one, at a port or at the path of a Unix socket."""
    engine = RealtimeEngine()
    options = {"process_request": engine.asks, "select_subprotocol": _chosen, "max_size": None, **options}
    making = unix_serve(engine.talk, path, **options) if path else serve(engine.talk, "127.0.0.1", 0, **options)
    async with making as server:
        engine.server = server
        if path:
            engine.url = f"unix:{path}"
        else:
            scheme = "https" if options.get("ssl") else "http"
            engine.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield engine
        for talk in engine.talks:
            talk.transport.abort()
        await asyncio.sleep(0)
