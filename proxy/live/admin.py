"""The admin listener: liveness, readiness, metrics, explanations.

Its own port, loopback by default, with a Host allow-list.
"""

import ipaddress
from collections.abc import Awaitable, Callable

from aiohttp import web

_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_EXPLAINED_MAX_B = 32 << 20
Explain = Callable[[str, list[tuple[bytes, bytes]], bytes], tuple[int, bytes]]
"""Path, headers and body of a request → status and JSON."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def is_own_name(host: str) -> bool:
    """Whether a Host header names this machine rather than a web page's domain: an address or a name without dots
    (`localhost`, a container's or service's name). A page that rebinds its own domain to us carries that domain."""
    name = host.rsplit(":", 1)[0] if host.rfind(":") > host.rfind("]") else host
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return bool(name) and "." not in name
    return True


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not is_own_name(request.headers.get("Host", "")):
        return web.json_response({"error": "The Host header must be an address or a name without dots."}, status=403)
    return await handler(request)


def build_app(
    is_ready: Callable[[], str | None], render_metrics: Callable[[], bytes], explain: Explain
) -> web.Application:
    """`is_ready` gives None, or the reason why not."""

    async def livez(_: web.Request) -> web.StreamResponse:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.StreamResponse:
        reason = is_ready()
        return web.Response(text="ok\n") if reason is None else web.Response(status=503, text=reason + "\n")

    async def metrics(_: web.Request) -> web.StreamResponse:
        return web.Response(body=render_metrics(), headers={"Content-Type": _TEXT})

    async def explained(request: web.Request) -> web.StreamResponse:
        path = request.query.get("path", "/v1/chat/completions")
        status, told = explain(path, list(request.raw_headers), await request.read())
        return web.Response(status=status, body=told, content_type="application/json")

    app = web.Application(middlewares=[_guard], client_max_size=_EXPLAINED_MAX_B)
    app.router.add_post("/explain", explained)
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", metrics)
    return app
