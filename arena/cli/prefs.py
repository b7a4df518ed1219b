"""`arena prefs`: pairs to label, what was said about them, files in and out."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, cast, get_args

import typer

from arena.agreement import Report, Share
from arena.cli.label import From, origins
from arena.cli.options import DEFAULT_DB, Db, Json, Seed, group
from arena.cli.output import clean, number, print_json, print_table, say, when
from arena.curve_points import for_a_curve
from arena.prefs_io import Format
from arena.records_text import LabelledPair, Split
from arena.store import Store, valid_name
from envs.errors import ArenaError, UnknownNameError, UsageError

app = group("Preferences: propose pairs, report, list, import, export, simulate annotators.")

Annotator = Annotated[str | None, typer.Option("--as", metavar="NAME", help="Only this annotator's.")]
SomeSplit = Annotated[str | None, typer.Option("--split", metavar="train|test", help="Only prompts of this part.")]
SHOWN = 40
MOST = 20
"""Twos of annotators that a report for people compares."""


@app.command()
def pairs(
    count: Annotated[int, typer.Argument(metavar="COUNT", min=1, help="How many.")] = 100,
    model: Annotated[
        list[str] | None, typer.Option("--model", metavar="NAME", help="Only completions of this model; repeatable.")
    ] = None,
    reward_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Prefer pairs that this model's ensemble disagrees about.")
    ] = None,
    random: Annotated[
        float, typer.Option(metavar="SHARE", help="With a reward model: how many stay random all the same.")
    ] = 0.25,
    repeats: Annotated[
        float, typer.Option(metavar="SHARE", help="How many are hidden repeats with their sides turned round.")
    ] = 0.05,
    split: Annotated[str, typer.Option("--split", metavar="train|test", help="Prompts of this part.")] = "train",
    seed: Seed = 0,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Propose pairs to label, of the completions that there are. Identical texts and old pairs are left out.

    \b
    Example:
      arena prefs pairs 200
      arena prefs pairs 200 --reward-model reward-1
    """
    from arena.asking import ask_for

    with Store(db, create=False) as store:
        asked = ask_for(
            store,
            count,
            models=model or [],
            split=part(split) or "train",
            reward_model=reward_model,
            random_share=random,
            repeat_share=repeats,
            seed=seed,
        )
    if json:
        print_json(asked)
    else:
        print(f"{asked.random} random, {asked.uncertainty} uncertain, {asked.repeats} hidden repeats; now: arena label")


@app.command()
def report(
    annotator: Annotator = None, source: From = None, split: SomeSplit = None, db: Db = DEFAULT_DB, json: Json = False
) -> None:
    """Report how far the labels can be trusted. Agreement, consistency, position bias, the ceiling for a reward model.

    \b
    Example:
      arena prefs report
      arena prefs report --json
    """
    from arena.agreement import report as make

    with Store(db, create=False) as store:
        rows = store.labels(annotator, part(split), origins(source), skipped=True)
        found = make([row for row in rows if annotator or not for_a_curve(row.annotator)])
        scores = len(store.completion_scores(annotator, part(split)))
    if json:
        print_json({"report": found, "scores": scores})
    else:
        _print_report(found, scores)


@app.command("list")
def list_labels(
    annotator: Annotator = None,
    source: From = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="How many.")] = 20,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """List the newest labels, with the beginnings of their texts.

    \b
    Example:
      arena prefs list --as Ada --limit 5
    """
    with Store(db, create=False) as store:
        rows = store.labels(annotator, proposed_by=origins(source), skipped=True, newest=limit)
    if json:
        print_json(rows)
        return
    columns = ("pair", "annotator", "said", "prompt", "a", "b", "when")
    lines = [
        (row.pair, row.annotator, _said(row), *map(_short, (row.prompt, row.text_a, row.text_b)), when(row.created_at))
        for row in rows
    ]
    print_table(columns, lines, "no labels yet; `arena label` gives some", left=len(columns))


@app.command()
def notes(annotator: Annotator = None, db: Db = DEFAULT_DB, json: Json = False) -> None:
    """List what annotators wrote down.

    \b
    Example:
      arena prefs notes
    """
    with Store(db, create=False) as store:
        rows = store.notes(annotator)
    if json:
        print_json(rows)
        return
    about = [f"pair {n.pair}" if n.pair else f"completion {n.completion}" if n.completion else "prompt" for n in rows]
    lines = [(on, n.annotator, n.text, _short(n.prompt), when(n.created_at)) for on, n in zip(about, rows, strict=True)]
    print_table(
        ("about", "annotator", "note", "prompt", "when"), lines, "no notes yet; n writes one in `arena label`", 5
    )


@app.command()
def guidelines(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Text that takes the place of the old.")] = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Show what annotators are told, or replace it by a file's text.

    \b
    Example:
      arena prefs guidelines
      arena prefs guidelines ours.txt
    """
    with Store(db, create=False) as store:
        if file is not None:
            try:
                store.set_guidelines(file.read_text(encoding="utf-8"))
            except OSError as error:
                raise UsageError(f"{file}: {error.strerror}") from None
            except UnicodeDecodeError:
                raise UsageError(f"{file} is not UTF-8") from None
        print("\n".join(clean(line) for line in store.guidelines().splitlines()))


@app.command()
def annotate(
    rubric: Annotated[
        str, typer.Argument(metavar="RUBRIC", help="helpful, polite, brief, asks; helpful+polite; module:function.")
    ],
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Under this name; else the rubric's.")
    ] = None,
    noise: Annotated[float, typer.Option(metavar="RATE", help="How often it says the opposite.")] = 0.0,
    ties: Annotated[float, typer.Option(metavar="RATE", help="How often equals are called a tie.")] = 1.0,
    position: Annotated[float, typer.Option(metavar="RATE", help="How often it takes the left one unread.")] = 0.0,
    count: Annotated[int | None, typer.Option(metavar="N", min=1, help="At most so many pairs; else all.")] = None,
    source: From = None,
    split: SomeSplit = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Where its errors come from; else its name.")
    ] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Let a rubric label pairs, with stated errors. Its labels are like a person's, under a name of its own.

    \b
    Example:
      arena prefs annotate helpful+polite --as robot --noise 0.1
      arena prefs annotate my_rewards:full_stops
    """
    from arena.annotators import Simulation, annotate

    name = name or f"sim:{rubric}"
    simulation = Simulation(rubric, noise, ties, position, zlib.crc32(name.encode()) if seed is None else seed)
    with Store(db, create=False) as store:
        labels = annotate(store, name, simulation, count, origins(source), part(split))
    if json:
        print_json({"annotator": name, "labels": len(labels), "settings": simulation})
    else:
        print(f"{clean(name)}: {len(labels):,} labels")


@app.command("import")
def import_labels(
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON lines; - is stdin.")],
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Whose labels they are, whatever the file says.")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", metavar="train|test", help="Where new prompts belong, whatever it says.")
    ] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Take in labels or pairs from a file: our form, TRL's, Anthropic HH's, LMSYS battles. All of it, or nothing.

    A row with both completions and no choice is a pair to label. What is there already is not added again.

    \b
    Example:
      arena prefs import hh.jsonl
      arena prefs import answers.jsonl --as Ada
    """
    from arena.prefs_io import read_rows

    valid_name(name or "imported", "annotator")
    if file == "-":
        rows = read_rows(sys.stdin.buffer, "stdin", part(split))
    else:
        try:
            with open(file, "rb") as stream:
                rows = read_rows(stream, Path(file).name, part(split))
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}") from None
    with Store(db) as store:
        counts = store.add_imported(rows, name or "imported", override=name is not None)
    if json:
        print_json(counts)
    else:
        added = {key: count for key, count in vars(counts).items() if key not in ("known", "changed")}
        print("added " + ", ".join(f"{count:,} {key}" for key, count in added.items()) + f"; {counts.known:,} known")
        if counts.changed:
            say(f"{counts.changed:,} of them replace another judgement of the same annotator's: the last one counts")


@app.command()
def export(
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="Where to; - is stdout.")] = "-",
    form: Annotated[
        str, typer.Option("--format", metavar="arena|trl|hh|lmsys", help="Whose form. Ours alone keeps everything.")
    ] = "arena",
    unlabelled: Annotated[
        bool, typer.Option("--unlabelled", help="Pairs to label elsewhere: fill in choice, then import the file.")
    ] = False,
    annotator: Annotator = None,
    source: From = None,
    split: SomeSplit = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Write labels as JSON lines. TRL and HH have no ties and no repeats: they are left out there.

    \b
    Example:
      arena prefs export labels.jsonl
      arena prefs export train.jsonl --format trl --split train
      arena prefs export todo.jsonl --unlabelled --as Ada
    """
    from arena.prefs_io import line, rows_of, score_rows, unlabelled_rows

    if form not in get_args(Format):
        raise UnknownNameError("format", form, get_args(Format))
    if unlabelled and form != "arena":
        raise UsageError("--unlabelled has a form of its own; leave out --format")
    wanted = part(split)
    with Store(db, create=False) as store:
        if unlabelled:
            rows: Iterator[dict[str, Any]] = unlabelled_rows(store, annotator or "nobody", origins(source), wanted)
            skipped = 0
        else:
            labels = store.labels(annotator, wanted, origins(source), skipped=True)
            found = list(rows_of(store, cast(Format, form), labels))
            skipped = len(labels) - len(found)
            scores = score_rows(store, store.completion_scores(annotator, wanted)) if form == "arena" else iter(())
            rows = iter([*found, *scores])
        count = _write(file, (line(row) for row in rows), force)
    say(f"{count:,} rows" + (f"; {skipped:,} labels that {form} cannot say are left out" if skipped else ""))


def part(split: str | None) -> Split | None:
    """A part of the prompts, or all of them; UnknownNameError for what is none."""
    known: dict[str, Split] = {"train": "train", "test": "test"}
    if split is None:
        return None
    if split not in known:
        raise UnknownNameError("split", split, known)
    return known[split]


def _write(file: str, lines: Iterator[str], force: bool) -> int:
    """Lines to stdout, or to a file that is there whole or not at all; how many."""
    if file == "-":
        return sum(sys.stdout.write(text + "\n") > 0 for text in lines)
    path = Path(file)
    if path.exists() and not force:
        raise UsageError(f"{path} exists; --force overwrites it")
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        with partial.open("w", encoding="ascii") as stream:
            count = sum(stream.write(text + "\n") > 0 for text in lines)
        partial.replace(path)
    except OSError as error:
        raise ArenaError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
    return count


def _said(row: LabelledPair) -> str:
    words = {"a": "a", "b": "b", "tie": "tie", "both_bad": "both bad", "skip": "skipped"}[row.choice]
    return f"{words}!" if row.strength == 2 else words


def _short(text: str) -> str:
    text = " ".join(text[: 4 * SHOWN].split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def _share(share: Share) -> str:
    if share.share is None or share.low is None or share.high is None:
        return "–"
    return f"{share.share:.0%} ({share.low:.0%}–{share.high:.0%}) of {share.of:,}"


Basis = Literal["annotators", "repeats"]
_BASES: dict[Basis, str] = {"annotators": "annotators' agreement", "repeats": "hidden repeats"}


def _print_report(report: Report, scores: int) -> None:
    by = "1 annotator" if len(report.annotators) == 1 else f"{len(report.annotators)} annotators"
    print(f"{report.labels:,} labels of {report.pairs:,} pairs by {by}; {scores:,} scores")
    print()
    rows = [
        (
            row.annotator,
            f"{row.labels:,}",
            "/".join(str(row.choices[choice]) for choice in ("a", "b", "tie", "both_bad", "skip")),
            "–" if row.seconds is None else f"{row.seconds:.1f} s",
            _share(row.left),
            _share(row.longer),
            _share(row.consistency),
        )
        for row in report.annotators
    ]
    columns = ("annotator", "labels", "a/b/tie/bad/skip", "each", "chose left", "chose longer", "same again")
    print_table(columns, rows, "no labels yet; `arena label` gives some")
    largest = sorted(report.between, key=lambda two: -two.agreement.of)[:MOST]
    for two in largest:
        names = " and ".join(clean(name) for name in two.annotators)
        print(f"{names}: agree on {_share(two.agreement)}, Cohen's κ {number(two.kappa)}")
    if len(report.between) > MOST:
        print(f"and {len(report.between) - MOST:,} more two annotators with fewer pairs in common")
    if len(report.annotators) > 1:
        print(f"Fleiss's κ {number(report.fleiss)} (pairs that all labelled)")
        print(f"Krippendorff's α {number(report.alpha)} nominal, {number(report.alpha_ordinal)} ordinal")
    if report.ceiling is not None and report.ceiling_basis is not None:
        print(
            f"the best possible model agrees with {report.ceiling:.0%} of such labels ({_BASES[report.ceiling_basis]})"
        )
    elif report.labels:
        print("too few repeated or shared pairs for a ceiling; `arena prefs pairs` proposes hidden repeats")
