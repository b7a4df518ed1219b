"""The app in a browser: who gets in, and that the app is there."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from arena.cli.app import app as arena

pytest.importorskip("textual_serve", reason="textual-serve is not installed")

from aiohttp import WSServerHandshakeError
from aiohttp.test_utils import TestClient, TestServer

from arena.serving import COOKIE, GuardedServer, is_local, new_token

TOKEN = "a-token-of-some-length"
ECHO = shlex.join([sys.executable, "-c", "pass"])


@asynccontextmanager
async def served(token: str | None, command: str = ECHO) -> AsyncIterator[TestClient]:
    server = TestServer(await GuardedServer(command, "127.0.0.1", 8000, token)._make_app())
    async with TestClient(server) as client:
        yield client


async def status(client: TestClient, path: str, **headers: str) -> int:
    async with client.get(path, headers=headers, allow_redirects=False) as answer:
        return answer.status


async def test_this_machine_gets_in_and_other_pages_do_not() -> None:
    async with served(None) as client:
        own = f"127.0.0.1:{client.port}"
        assert await status(client, "/") == 200
        assert await status(client, "/static/js/textual.js") == 200
        assert await status(client, "/", Origin=f"http://{own}") == 200
        for path in ("/", "/static/js/textual.js", "/ws", "/download/x"):
            assert await status(client, path, Origin="http://evil.example") == 403
            assert await status(client, path, Origin="null") == 403
            assert await status(client, path, Host="evil.example:8000") == 403  # a name that was pointed at us
        with pytest.raises(WSServerHandshakeError) as refused:
            await client.ws_connect("/ws", headers={"Origin": "http://evil.example"})
        assert refused.value.status == 403
        async with client.get("/") as page:
            assert f"ws://{own}/ws" in await page.text()


async def test_elsewhere_a_token_is_asked_for_everywhere() -> None:
    async with served(TOKEN) as client:
        for path in ("/", "/?token=wrong", "/static/js/textual.js", "/ws", "/download/x"):
            assert await status(client, path) == 403
            assert await status(client, path, Cookie=f"{COOKIE}={TOKEN}x") == 403
        with pytest.raises(WSServerHandshakeError) as refused:
            await client.ws_connect("/ws")
        assert refused.value.status == 403
        async with client.get(f"/?token={TOKEN}", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "/")
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
        assert await status(client, "/", Cookie=f"{COOKIE}={TOKEN}") == 200
        assert await status(client, "/", Cookie=f"{COOKIE}={TOKEN}", Origin="http://evil.example") == 403
        with pytest.raises(WSServerHandshakeError):
            await client.ws_connect("/ws", headers={"Cookie": f"{COOKIE}={TOKEN}", "Origin": "http://evil.example"})


def test_which_addresses_need_a_token() -> None:
    assert all(is_local(host) for host in ("127.0.0.1", "127.8.0.1", "localhost", "::1", "[::1]"))
    assert not any(is_local(host) for host in ("0.0.0.0", "::", "192.168.0.2", "example.org", ""))
    with pytest.raises(ValueError, match="needs a token"):
        GuardedServer(ECHO, "0.0.0.0", 8000, None)
    assert len({new_token() for _ in range(10)}) == 10
    told = CliRunner().invoke(arena, ["serve", "--token", "short"])
    assert told.exit_code != 0


@pytest.mark.slow
async def test_the_app_is_there_and_takes_keys(tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "-m", "arena", "--db", str(tmp_path / "league.db"), "--as", "Ann"])
    async with served(None, command) as client, client.ws_connect("/ws?width=80&height=24") as socket:
        seen = b""

        async def until(*texts: bytes) -> None:
            nonlocal seen
            async with asyncio.timeout(120):
                while not all(text in seen for text in texts):
                    message = await socket.receive()
                    seen += message.data if isinstance(message.data, bytes) else b""

        await until(b"tic_tac_toe", b"Ann")
        seen = b""
        await socket.send_json(["stdin", "\x1b[15~"])
        await until(b"No run yet")
        await socket.send_json(["stdin", "\x11"])
