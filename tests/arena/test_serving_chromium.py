"""`arena serve` in a real browser: Debian's Chromium without a window, driven by the DevTools protocol.

What the page is sent is read from its websocket; keys go to the page as a keyboard's would.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from arena.store import Store
from tests.tui.test_label import some_pairs

pytest.importorskip("textual_serve", reason="textual-serve is not installed")

import aiohttp
from aiohttp.test_utils import TestServer

from arena.serving import GuardedServer

SECONDS = 240.0
"""How long anything may take on a machine that is busy."""
CHROMIUM = shutil.which("chromium")
KEYS = {"Enter": ("Enter", 13, "\r"), "F7": ("F7", 118, "")}
"""Key → its code, its number, the text that it gives."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2 * SECONDS),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
]


class Page:
    """One page of a browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self.received = b""

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask something of the page; what it receives meanwhile is kept."""
        self._number += 1
        number = self._number
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while number not in self._answers:
            await self._read()
        return self._answers.pop(number)

    async def sees(self, *texts: str) -> None:
        """Wait until the page has been sent all of these since the last key."""
        try:
            async with asyncio.timeout(SECONDS):
                while not all(text.encode() in self.received for text in texts):
                    await self._read()
        except TimeoutError:
            raise AssertionError(f"{texts} never came; the page got …{self.received[-1500:]!r}") from None

    async def until(self, expression: str) -> None:
        """Wait until JavaScript says that something holds."""
        async with asyncio.timeout(SECONDS):
            while not (await self.call("Runtime.evaluate", expression=expression))["result"].get("value"):
                await asyncio.sleep(0.1)

    async def press(self, key: str) -> None:
        self.received = b""
        code, number, text = KEYS.get(key, (f"Digit{key}" if key.isdigit() else f"Key{key.upper()}", 0, key))
        number = number or ord(key.upper())
        event = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        await self.call("Input.dispatchKeyEvent", type="keyDown", **event, **({"text": text} if text else {}))
        await self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    async def _read(self) -> None:
        message = await self._socket.receive_json()
        if "id" in message:
            assert "error" not in message, message
            self._answers[message["id"]] = message["result"]
        elif message["method"] == "Network.webSocketFrameReceived":
            frame = message["params"]["response"]
            self.received += base64.b64decode(frame["payloadData"]) if frame["opcode"] == 2 else b""


@asynccontextmanager
async def page(folder: Path) -> AsyncIterator[Page]:
    """An empty page of a browser that keeps what it keeps in `folder`."""
    assert CHROMIUM is not None
    root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses root otherwise; it sees our own page alone
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM,
        "--headless=new",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
        "--window-size=1100,800",
        "--no-first-run",
        "--no-proxy-server",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-extensions",
        "--disable-background-networking",
        "--disable-component-update",
        *root,
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        async with aiohttp.ClientSession() as client:
            port = await _port(folder / "DevToolsActivePort", browser)
            async with client.get(f"http://127.0.0.1:{port}/json/list") as answer:
                address = next(t["webSocketDebuggerUrl"] for t in await answer.json() if t["type"] == "page")
            async with client.ws_connect(address, max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(browser.pid, 9)
        await browser.wait()


async def _port(told: Path, browser: asyncio.subprocess.Process) -> int:
    """The port that the browser has chosen, once it says so in a file."""
    async with asyncio.timeout(SECONDS):
        while not told.exists() or "\n" not in told.read_text():
            if browser.returncode is not None:
                pytest.skip(f"Chromium does not start here (exit status {browser.returncode})")
            await asyncio.sleep(0.1)
    return int(told.read_text().split()[0])


async def test_a_game_is_played_and_a_pair_labelled_in_chromium(tmp_path: Path) -> None:
    db = tmp_path / "league.db"
    some_pairs(db, [("first 0", "second 0")])
    words = [sys.executable, "-m", "arena", "--db", str(db), "--as", "Ann"]
    server = TestServer(await GuardedServer(shlex.join(words), "127.0.0.1", 8000, None)._make_app())
    await server.start_server()
    try:
        async with page(tmp_path / "browser") as browser:
            await browser.call("Network.enable")
            await browser.call("Page.enable")
            await browser.call("Page.navigate", url=f"http://127.0.0.1:{server.port}/")
            await browser.sees("you are Ann", "rookie")
            await browser.until("document.querySelector('.xterm-helper-textarea') !== null")
            await browser.call(
                "Runtime.evaluate", expression="document.querySelector('.xterm-helper-textarea').focus()"
            )
            await browser.press("p")
            await browser.sees("your seat?")
            await browser.press("Enter")
            await browser.sees("your move")
            await browser.press("5")
            await browser.sees("move 2")
            await browser.press("r")
            await browser.sees("Resign?")
            await browser.press("y")
            await browser.sees("you resigned")
            await browser.press("F7")
            await browser.sees("first 0", "second 0")
            await browser.press("1")
            async with asyncio.timeout(SECONDS):
                while not (labels := _labels(db)):
                    await asyncio.sleep(0.1)
    finally:
        await server.close()
    assert labels == [1]
    with Store(db) as store:
        (episode,) = store.episodes()
        assert (episode.game, episode.length, episode.reason, episode.rated) == ("tic_tac_toe", 2, "resigned", True)


def _labels(db: Path) -> list[int]:
    """The pairs that have been labelled."""
    with Store(db, create=False) as store:
        return [label.pair for label in store.labels()]
