"""`arena serve`: the app in a browser."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated

import typer

from arena.cli.options import DEFAULT_DB, Db
from arena.cli.output import clean, say
from envs.errors import UsageError


def serve(
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; others than this machine's own ask for a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="The port.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(envvar="ARENA_TOKEN", metavar="TOKEN", help="What a visitor must know; else a new one."),
    ] = None,
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="The visitors' name in the app.")] = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Show the app in a browser. On this machine alone, unless --host says otherwise; then the link has a token.

    Every page is an app of its own on the same league. Ctrl-C ends it. Needs textual-serve: pip install
    'arena-league[serve]'.

    \b
    Example:
      arena serve
      arena serve --host 0.0.0.0 --port 8080
    """
    try:
        from arena.serving import GuardedServer, is_local, new_token
    except ImportError as error:
        raise UsageError("arena serve needs textual-serve: pip install 'arena-league[serve]'") from error

    if token is not None and len(token) < 16:
        raise UsageError("a token has at least 16 characters; without --token a new one is made")
    if token is None and not is_local(host):
        token = new_token()
    words = [sys.executable, "-m", "arena", "--db", str(db.absolute()), *([] if name is None else ["--as", name])]
    server = GuardedServer(shlex.join(words), host, port, token)
    at = f"[{host}]" if ":" in host else host
    say(f"the app is at http://{clean(at)}:{port}/{'' if token is None else f'?token={token}'} · Ctrl-C ends it")
    if token is not None and not is_local(host):
        say("what is sent can be read on the way: put it behind https, or use an ssh tunnel")
    server.serve()
