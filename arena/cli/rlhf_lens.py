"""`arena rlhf lens` and `curve`: what training changed inside a model, and what it bought at what distance."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated

import typer

from arena.cli.options import DEFAULT_DB, Db, Json, Seed
from arena.cli.output import clean, number, print_json, print_table, say
from arena.cli.progress import Meter
from arena.cli.rlhf_look import Tokens, app
from arena.cli.rlhf_run import newest
from arena.feedback_status import newest_model
from arena.records_lens import NO_PARTS, LayerTable, Look, mark
from arena.store import Store


@app.command()
def lens(
    prompt: Annotated[str, typer.Argument(metavar="PROMPT")],
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Else the newest by PPO, else by DPO.")] = None,
    against: Annotated[str | None, typer.Option(metavar="NAME", help="Else the newest SFT model.")] = None,
    reward_model: Annotated[str | None, typer.Option(metavar="NAME", help="Else the newest, if there is any.")] = None,
    answer: Annotated[str | None, typer.Option(metavar="TEXT", help="Look at this answer, not at the model's.")] = None,
    tokens: Tokens = 64,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Look inside: which tokens became likelier, at which layer they are decided, where the reward comes from.

    \b
    Example:
      arena rlhf lens "my laptop won't turn on, what should I do?"
    """
    with Store(db, create=False) as store:
        from arena.feedback_lens import look_inside

        judge = reward_model or newest_model(store, "reward")
        found = look_inside(
            store, prompt, model or newest(store, "rlhf", "dpo"), against or newest(store, "sft", "imported"), judge,
            tokens, answer,
        )  # fmt: skip
    print_json(found) if json else print_look(found)


@app.command()
def curve(
    rubric: Annotated[
        str, typer.Option(metavar="RUBRIC", help="What is truly good: helpful, polite+brief, …, module:function.")
    ] = "helpful+polite+brief",
    labels: Annotated[
        list[int] | None, typer.Option(metavar="N", min=10, help="How many labels; may be repeated: 50, 100, … 2000.")
    ] = None,
    completions: Annotated[int, typer.Option(metavar="N", min=1, help="Completions of each PPO run.")] = 3072,
    prompts: Annotated[int, typer.Option(metavar="N", min=1, help="Test prompts.")] = 100,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw it, too (needs matplotlib).")] = None,
    noise: Annotated[float, typer.Option(min=0, max=0.5, help="Share of wrong labels.")] = 0.1,
    tokens: Tokens = 64,
    seed: Seed = 0,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Show over-optimisation: the rubric and the reward model against √KL, for PPO, DPO and best-of-n.

    Simulated annotators label; a reward model learns from N labels, PPO without a KL penalty pursues it, DPO learns
    from the same labels. PPO's points are means over its rollouts, of training prompts; all others are over test
    prompts, which are harder. Everything is kept under names of its own, so a curve that was cut short goes on.

    \b
    Example:
      arena rlhf curve --labels 50 --labels 400
    """
    with Store(db, create=False) as store, Meter() as meter:
        from arena.feedback_curve import measure, need_matplotlib, write_plot

        if plot is not None:
            need_matplotlib()
        sft = newest(store, "sft", "imported")
        found = measure(
            store, sft, rubric, labels or [50, 100, 200, 500, 2000], completions, prompts, noise, tokens, seed,
            meter.update,
        )  # fmt: skip
    if plot is not None:
        write_plot(found, plot)
        say(f"drawn: {clean(str(plot))}")
    if json:
        print_json(found)
        return
    rows = [
        (p.method, p.labels, number(math.sqrt(max(p.kl, 0.0)), 2), number(p.gold, 2), number(p.proxy, 2)) for p in found
    ]
    print_table(("method", "labels", "√KL", "rubric", "reward model"), rows, "nothing was measured")


def print_look(found: Look) -> None:
    """The heat line, both logit lenses, the reward's parts."""
    print(f"{clean(found.prompt)}\n{clean(found.model)}: {clean(found.answer)}\n")
    print(
        f"log-ratio of {clean(found.model)} to {clean(found.reference)} by token, in nats (blue: likelier than before)"
    )
    print(heat_line(found.tokens))
    print(f"in all {sum(ratio for _, ratio in found.tokens):+.1f} nats\n")
    for table in found.tables:
        _print_layers(table, [token for token, _ in found.tokens])
    if found.reward is None:
        print(NO_PARTS)
        return
    parts = found.reward
    print(
        f"reward {parts.reward:+.2f} by {clean(parts.model)}: what each head moves to where it is read, largest first"
    )
    print_table(
        ("head", "part"), [(f"layer {layer} head {head}", f"{part:+.2f}") for layer, head, part in parts.heads], ""
    )
    print("\nand from which tokens, through all heads")
    print(heat_line(parts.tokens))
    mlps = "  ".join(f"{layer}: {part:+.2f}" for layer, part in enumerate(parts.mlps))
    print(f"MLPs by layer  {mlps}\nembedding {parts.embedding:+.2f}, rest {parts.rest:+.2f}")


def heat_line(tokens: list[tuple[str, float]]) -> str:
    """Every token with its number; on a terminal coloured, blue above and orange below 0, and marked as well."""
    import os
    import textwrap

    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        marked = " ".join(f"{clean(token).strip() or '_'}[{mark(value)}{value:+.1f}]" for token, value in tokens)
        return textwrap.fill(marked, 78, break_long_words=False, break_on_hyphens=False)
    cells = []
    for token, value in tokens:
        strength = min(abs(value) / 3, 1.0)
        low = int(235 - 185 * strength)
        colour = f"{low};{low + 10};255" if value >= 0 else f"255;{min(low + 40, 255)};{low}"
        cells.append(f"\x1b[30;48;2;{colour}m{clean(token)}{mark(value)}\x1b[0m")
    return "".join(cells)


def _print_layers(table: LayerTable, tokens: list[str]) -> None:
    print(f"{clean(table.model)}: how probable each token already is after each layer (0: the embedding)")
    rows = [
        (clean(token).strip() or "_", *(f"{layer.probability[place]:.0%}" for layer in table.layers))
        for place, token in enumerate(tokens)
    ]
    print_table(("token", *(str(number) for number in range(len(table.layers)))), rows, "")
    print()
