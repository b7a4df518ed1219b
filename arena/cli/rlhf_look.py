"""`arena rlhf models|export|import|eval|compare|lens|curve|demo`: the models themselves, and what became of them."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arena.cli.demo import command
from arena.cli.errors import INTERRUPTED
from arena.cli.interrupts import stoppable
from arena.cli.options import DEFAULT_DB, Db, Json, Seed
from arena.cli.output import clean, duration, number, print_json, print_table, say, when
from arena.cli.progress import Meter
from arena.cli.rlhf import Tokens, app
from arena.cli.rlhf_run import newest
from arena.cli.rlhf_text import accuracy
from arena.store import Store
from envs.errors import UsageError

if TYPE_CHECKING:
    from arena.feedback_eval import Evaluation, WinRate

Prompt = Annotated[str, typer.Argument(metavar="PROMPT", help="What the models answer.")]


@app.command()
def models(db: Db = DEFAULT_DB, json: Json = False) -> None:
    """List the text models.

    \b
    Example:
      arena rlhf models
    """
    with Store(db, create=False) as store:
        found = store.text_models()
    names = {model.id: model.name for model in found}
    if json:
        print_json(
            [{"name": m.name, "kind": m.kind, "from": names.get(m.parent or 0), "since": m.created_at} for m in found]
        )
        return
    rows = [(m.name, m.kind, names.get(m.parent or 0, "–"), when(m.created_at)) for m in found]
    print_table(("model", "kind", "from", "since"), rows, "no models yet; `arena rlhf pretrain` makes one", left=4)


@app.command("export")
def export_(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new directory.")],
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Write a model as a directory that transformers, TRL and vLLM load.

    \b
    Example:
      arena rlhf export ppo-1 ./my-model
    """
    with Store(db, create=False) as store:
        from arena.text_models import export_model

        files = export_model(store, name, directory)
    print_json({"directory": str(directory), "files": files}) if json else print(
        f"{clean(str(directory))}: {len(files)} files"
    )


@app.command("import")
def import_(
    directory: Annotated[str, typer.Argument(metavar="DIR", help="A Hugging Face-format directory.")],
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Its name here; else the directory's.")] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Keep a causal language model from a directory. Pickled weights are refused.

    \b
    Example:
      arena rlhf import ./gpt2
    """
    with Store(db) as store:
        from arena.text_models import import_model

        kept = import_model(store, directory, name)
    print_json({"name": kept}) if json else print(f"{clean(kept)} is here; next: arena rlhf sft --model {clean(kept)}")


@app.command("eval")
def eval_(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]…", help="Models to judge; else the newest by PPO and by DPO.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The reference; else the newest SFT model.")
    ] = None,
    rubric: Annotated[
        str, typer.Option(metavar="RUBRIC", help="helpful, polite+brief, …, module:function; empty: none.")
    ] = "helpful+polite+brief",
    reward_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Else the newest one, if there is any.")
    ] = None,
    best_of: Annotated[list[int] | None, typer.Option(metavar="N", min=2, help="Also the best of N samples.")] = None,
    prompts: Annotated[int, typer.Option(metavar="N", min=1, help="Test prompts.")] = 200,
    tokens: Tokens = 64,
    person: Annotated[bool, typer.Option("--person", help="Make blind pairs for the label screen instead.")] = False,
    seed: Seed = 0,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Did it work? Win rates against SFT on test prompts, with KL, length and diversity.

    With --person the answers become blind pairs; `arena label` shows them, and the next `eval` counts the labels.

    \b
    Example:
      arena rlhf eval
      arena rlhf eval ppo-1 --person
    """
    with Store(db, create=False) as store:
        from arena.annotators import scorer
        from arena.feedback_eval import blind_pairs, evaluate, person_wins

        reference = against or newest(store, "sft", "imported", "pretrained")
        chosen = list(models or _improved(store))
        if not chosen:
            raise UsageError("there is no model to judge yet; `arena rlhf ppo` or `arena rlhf dpo` makes one")
        for name in chosen:
            store.text_model(name)
        if person:
            made = {name: blind_pairs(store, name, reference, prompts, tokens, seed) for name in chosen}
            if json:
                print_json(made)
            else:
                print(f"{sum(made.values()):,} blind pairs; next: arena label, then arena rlhf eval")
            return
        kinds = {model.kind for model in store.text_models()}
        judge = reward_model or (newest(store, "reward") if "reward" in kinds else None)
        with Meter() as meter:
            found = evaluate(
                store, chosen, reference, gold=scorer(rubric) if rubric else None, reward_model=judge,
                best_of=best_of or (4,), prompts=prompts, max_new_tokens=tokens, seed=seed,
                progress=lambda model, done, total: meter.update("eval", done, total, model),
            )  # fmt: skip
        people = {name: person_wins(store, name, reference) for name in chosen}
    if json:
        print_json({"reference": reference, "rubric": rubric, "reward_model": judge, "models": found, "people": people})
        return
    print_evaluations(found)
    for name, by in people.items():
        for annotator, wins in by.items():
            print(f"{clean(annotator)}, blind: {clean(name)} preferred to {clean(reference)} in {win_text(wins)}")


@app.command()
def compare(
    prompt: Prompt,
    models: Annotated[
        list[str] | None, typer.Option("--model", metavar="NAME", help="May be repeated; else the newest of each kind.")
    ] = None,
    tokens: Tokens = 64,
    temperature: Annotated[float, typer.Option(min=0, max=10, help="0: the likeliest token each time.")] = 0,
    seed: Seed = 0,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Let several models answer one prompt: pre-trained, SFT, DPO, PPO.

    \b
    Example:
      arena rlhf compare "my laptop won't turn on, what should I do?"
    """
    with Store(db, create=False) as store:
        from arena.feedback_status import newest_of_each
        from arena.text_models import answer

        names = models or [m.name for m in newest_of_each(store)]
        if not names:
            raise UsageError("there are no models yet; `arena rlhf pretrain` makes one")
        answers = {name: answer(store, name, prompt, tokens, temperature, seed) for name in names}
    print_json({"prompt": prompt, "answers": answers}) if json else print_answers(prompt, answers)


@app.command()
def demo(
    small: Annotated[
        bool, typer.Option("--small", help="A tenth of everything, to see the way and not the result.")
    ] = False,
    seed: Seed = 0,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Show the whole way once, in about ten minutes: corpus, pre-training, SFT, labels, reward model, PPO, DPO.

    Interrupted, it goes on when it is called again; once complete, it shows its results again.

    \b
    Example:
      arena rlhf demo
    """
    from arena import feedback_demo as service

    began = time.monotonic()
    plan = service.small_plan() if small else service.Plan()
    with Store(db) as store:
        fresh = not service.is_complete(store)
        with stoppable() as should_stop, Meter() as meter:
            for step in service.run_demo(store, plan, seed, should_stop):
                if step.total:
                    meter.update(step.job, step.done, step.total, step.line)
                else:
                    meter.end(step.job)
                    meter.note(step.line)
            stopped = should_stop()
            if not stopped:
                found = service.results(
                    store, plan, seed, lambda model, done, total: meter.update("eval", done, total, model)
                )
        if stopped:
            say(
                f"go on with: {command()} rlhf demo"
                + ("" if db == DEFAULT_DB else f" --db {clean(shlex.quote(str(db)))}")
            )
            raise typer.Exit(INTERRUPTED)
    if json:
        print_json(found)
        return
    bits = found.figures
    if "held_out/bits_per_byte_bound" in bits:
        mine, floor = bits["held_out/bits_per_byte"], bits["held_out/bits_per_byte_bound"]
        print(f"pre-trained: {mine:.3f} bits per byte of new posts; no model can have fewer than {floor:.3f}")
    share = found.reward.get("share_of_ceiling")
    print(
        f"reward model: {accuracy(found.reward)} right on {found.reward['held_out'] - found.reward.get('ties', 0)} "
        "held-out decisions" + (f", {share:.0%} of what the labels allow" if share is not None else "")
    )
    print()
    print_evaluations(found.evaluations)
    print_answers(found.prompt, found.answers)
    spent = f"after {duration(time.monotonic() - began)}" if fresh else "from before: nothing was left to do"
    print(f"\nEverything is in {clean(str(db))}, {spent}. Next: {command()} rlhf status")


def _improved(store: Store) -> list[str]:
    found = {model.kind: model.name for model in store.text_models()}
    return [found[kind] for kind in ("rlhf", "dpo") if kind in found]


def win_text(wins: WinRate | None) -> str:
    """A win rate with its interval."""
    return "–" if wins is None else f"{wins.share:.0%} ({wins.low:.0%}–{wins.high:.0%})"


def print_evaluations(found: list[Evaluation]) -> None:
    """A table, one model a row."""
    columns = ("model", "beats it, rubric", "reward model", "rubric", "reward", "KL", "words", "ended", "diversity")
    rows = [
        (
            each.model,
            win_text(each.wins_gold),
            win_text(each.wins_reward),
            number(each.gold),
            number(each.reward),
            number(each.kl, 1),
            number(each.words, 1),
            f"{each.ended:.0%}",
            number(each.diversity),
        )
        for each in found
    ]
    print_table(columns, rows, "nothing was judged")


def print_answers(prompt: str, answers: dict[str, str]) -> None:
    """One prompt, and what each model says to it."""
    import textwrap

    print(f"\n{clean(prompt)}")
    for name, text in answers.items():
        print(f"\n  {clean(name)}")
        for line in textwrap.wrap(clean(text), 74) or ["(nothing)"]:
            print(f"    {line}")
