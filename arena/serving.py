"""The app in a browser: textual-serve behind a guard. Whoever may open the page may play, label and start trainings.

On this machine's own addresses nobody else can connect, and the guard keeps other web pages out (the Host must be ours,
and an Origin the same). On any other address a token is asked for besides, on the page, the websocket and every file:
the link with `?token=…` leaves a cookie, which browsers send to us alone.
"""

from __future__ import annotations

import contextvars
import hmac
import ipaddress
import logging
import secrets
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

COOKIE = "arena_token"
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_asked_at: contextvars.ContextVar[str] = contextvars.ContextVar("_asked_at", default="")


def is_local(host: str) -> bool:
    """Whether only programs of this machine can connect to such an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def new_token() -> str:
    return secrets.token_urlsafe(24)


class GuardedServer(Server):
    """Serves `command` at host:port to those who are allowed to.

    Args:
        token: must be given by everybody; None only where `is_local(host)`.
    """

    def __init__(self, command: str, host: str, port: int, token: str | None) -> None:
        if token is None and not is_local(host):
            raise ValueError("an address that others can reach needs a token")
        self._token = token
        super().__init__(command, host=host, port=port, title="Arena")

    @property
    def public_url(self) -> str:
        """Where the request in hand was sent to: the page's links lead back there."""
        return _asked_at.get() or self._public_url

    @public_url.setter
    def public_url(self, url: str) -> None:
        self._public_url = url

    async def _make_app(self) -> web.Application:
        app: web.Application = await super()._make_app()

        @web.middleware
        async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
            return await self.guard(request, handler)

        app.middlewares.append(guard)
        return app

    def initialize_logging(self) -> None:
        """Warnings alone: a line for each request would show the token."""
        logging.basicConfig(level=logging.WARNING, format="%(message)s")

    async def on_startup(self, app: web.Application) -> None:
        """Say nothing: the command has said where the app is."""

    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse who is not allowed; a page that was opened with the token gets its cookie."""
        host = request.host
        if self._token is None and host.rpartition(":")[0] not in LOCAL_NAMES and host not in LOCAL_NAMES:
            raise web.HTTPForbidden(text="this page is for this machine alone")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise web.HTTPForbidden(text="another page may not use this one")
        typed = request.query.get("token", "")
        if self._token is not None:
            given = typed or request.cookies.get(COOKIE, "")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                raise web.HTTPForbidden(text="open the link that `arena serve` printed: it has the token")
        _asked_at.set(f"{request.scheme}://{host}")
        if typed and request.path == "/":
            response = web.HTTPFound("/")
            response.set_cookie(COOKIE, typed, httponly=True, samesite="Strict", secure=request.secure)
            return response
        return await handler(request)
