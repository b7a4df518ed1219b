"""`arena label`: a person's judgements, in the app or in plain lines."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, get_args

import typer

from arena.cli.options import DEFAULT_DB, Db
from arena.cli.play import your_name
from arena.records_text import Proposer
from arena.store import Store, valid_name
from envs.errors import UnknownNameError


class Mode(StrEnum):
    """What is asked."""

    pairs = "pairs"
    rank = "rank"
    score = "score"


From = Annotated[
    list[str] | None,
    typer.Option(
        "--from", metavar="ORIGIN", help="Only pairs that are random, uncertainty, repeat, import, evaluation."
    ),
]


def origins(words: list[str] | None) -> list[Proposer] | None:
    """Where pairs shall come from; UnknownNameError for what is no origin."""
    known: dict[str, Proposer] = {name: name for name in get_args(Proposer)}
    for word in words or []:
        if word not in known:
            raise UnknownNameError("origin", word, known)
    return [known[word] for word in words] if words else None


def label(
    mode: Annotated[
        Mode,
        typer.Argument(metavar="[pairs|rank|score]", help="Compare two, order up to four, or mark one from 1 to 7."),
    ] = Mode.pairs,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Your name; else the one you gave in the app.")
    ] = None,
    source: From = None,
    new: Annotated[bool, typer.Option("--new", help="Only pairs that nobody has labelled yet.")] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="In plain lines, without the app (also where there is no terminal).")
    ] = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Label text: which of two answers is better? Every answer is saved before the next question is asked.

    \b
    Example:
      arena label
      arena label rank --as Ada
      arena label --from evaluation
    """
    proposed_by = origins(source)
    name = None if name is None else valid_name(name, "annotator")
    with Store(db, create=False):
        pass  # a league that is none, or none yet, is told here and not in the app
    if plain or not (sys.stdin.isatty() and sys.stdout.isatty()):
        from arena.cli.label_plain import label_plain

        with Store(db, create=False) as store:
            label_plain(store, name or your_name(Path(db)), mode.value, input, proposed_by, new)
    else:
        from arena.cli.app import open_app

        wanted = {"proposed_by": proposed_by, "new": new} if mode is Mode.pairs else {}
        open_app(db, name, label={"mode": mode.value, **wanted})
