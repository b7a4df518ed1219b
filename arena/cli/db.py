"""`arena db`: the league's file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arena.cli.options import DEFAULT_DB, Db, Json, group
from arena.cli.output import clean, print_json, print_table
from arena.store import Store

app = group("Look after the league's file: check, count, copy, tidy.")


@app.command()
def check(db: Db = DEFAULT_DB, json: Json = False) -> None:
    """Verify the file. Structure, references, hashes, derived results; exits with 1 where anything is wrong.

    \b
    Example:
      arena db check
    """
    with Store(db, create=False) as store:
        problems = store.check()
    if json:
        print_json({"path": str(db), "ok": not problems, "problems": problems})
    else:
        for problem in problems:
            print(clean(problem))
        print(f"{clean(str(db))}: {f'{len(problems)} problem(s)' if problems else 'everything is in order'}")
    if problems:
        raise typer.Exit(1)


@app.command()
def stats(db: Db = DEFAULT_DB, json: Json = False) -> None:
    """Count what is in the file.

    \b
    Example:
      arena db stats --json
    """
    with Store(db, create=False) as store:
        counts = store.stats()
    if json:
        print_json(counts)
    else:
        print_table(("what", "count"), [(name, f"{count:,}") for name, count in counts.items()], "")


@app.command()
def backup(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Where the copy goes; a file that exists is refused.")],
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Copy the league to another file, safely while others write to it.

    \b
    Example:
      arena db backup league-monday.db
    """
    with Store(db, create=False) as store:
        store.backup(path)
    if json:
        print_json({"path": str(path), "bytes": path.stat().st_size})
    else:
        print(f"{clean(str(path))}: {path.stat().st_size:,} bytes")


@app.command()
def gc(db: Db = DEFAULT_DB, json: Json = False) -> None:
    """Drop what nothing names. Checkpoints without agents, resume states of finished runs.

    \b
    Example:
      arena db gc
    """
    with Store(db, create=False) as store:
        dropped = store.gc()
    if json:
        print_json(dropped)
    else:
        print("dropped " + ", ".join(f"{count:,} {name}" for name, count in dropped.items()))
