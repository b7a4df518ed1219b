"""`arena rlhf`: a language model learns what people prefer. The trainings, and what they learn from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agents.text_configs import HELP_DESK_POSTS
from arena.cli.errors import INTERRUPTED
from arena.cli.interrupts import stoppable
from arena.cli.options import DEFAULT_DB, Db, Json, Seed, group
from arena.cli.output import clean, print_json, say
from arena.cli.progress import Meter
from arena.cli.rlhf_run import configure, newest, run_training
from arena.cli.rlhf_text import print_reward
from arena.store import Store
from envs.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


app = group("Human feedback: pre-train, fine-tune, label, reward model, PPO and DPO, evaluate, look inside.")

Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="The run's and its model's name.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting; may be repeated.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run --name.")]
Parent = Annotated[
    str | None,
    typer.Option("--model", metavar="NAME_OR_DIR", help="The model to begin with; else the newest that fits."),
]
By = Annotated[
    list[str] | None, typer.Option("--by", metavar="ANNOTATOR", help="Only this annotator's labels; may be repeated.")
]
Tokens = Annotated[int, typer.Option("--tokens", metavar="N", min=1, help="Tokens of a completion at most.")]


@app.command()
def pretrain(
    ctx: typer.Context,
    corpus: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="Text files instead of the help desk's posts.")
    ] = None,
    posts: Annotated[int, typer.Option(metavar="N", min=1, help="Posts of the help desk to read.")] = HELP_DESK_POSTS,
    vocabulary: Annotated[int, typer.Option(metavar="N", min=260, max=65536, help="Tokens of the tokenizer.")] = 1024,
    layers: Annotated[int, typer.Option(min=1, max=96)] = 4,
    heads: Annotated[int, typer.Option(min=1, max=96)] = 4,
    width: Annotated[int, typer.Option(min=8, max=8192)] = 128,
    context: Annotated[int, typer.Option(min=16, max=8192, help="The longest text in tokens.")] = 128,
    name: Name = None,
    settings: Set = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Pre-train a language model. On the shipped help desk, or on your own text files.

    \b
    Example:
      arena rlhf pretrain
      arena rlhf pretrain --corpus notes.txt --corpus mail.txt --set epochs=4 --name mine
    """
    if width % heads:
        raise UsageError(f"--width {width} is no multiple of --heads {heads}")

    def config(store: Store) -> Mapping[str, Any]:
        from arena.feedback import pretrain_config

        shape = {"n_layer": layers, "n_head": heads, "d_model": width, "n_ctx": context}
        paths = [str(path.absolute()) for path in corpus or ()]
        return pretrain_config(configure("pretrain", settings), paths, posts, vocabulary, shape)

    run_training(ctx, db, "pretrain", name, config, seed, device, resume, json)


@app.command()
def sft(
    ctx: typer.Context,
    model: Parent = None,
    demonstrations: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSONL of prompt and response, added to those here; else the help desk's."),
    ] = None,
    name: Name = None,
    settings: Set = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Fine-tune a model on demonstrations, so that it answers instead of going on.

    \b
    Example:
      arena rlhf sft
      arena rlhf sft --model ./gpt2 --demonstrations answers.jsonl
    """

    def config(store: Store) -> Mapping[str, Any]:
        from arena.feedback import add_help_desk, sft_config
        from arena.text_files import read_demonstrations
        from arena.text_models import model_named

        parent = model_named(store, model or newest(store, "pretrained", "imported"))  # before anything is added
        if demonstrations is not None:
            added = store.add_demonstrations(read_demonstrations(demonstrations), demonstrations.name)
            say(f"{added:,} new demonstrations, {len(store.demonstrations('train')):,} to learn from")
        else:
            add_help_desk(store)
        return sft_config(store, configure("sft", settings), parent)

    run_training(ctx, db, "sft", name, config, seed, device, resume, json)


@app.command()
def prompts(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="New prompts, one a line.")] = None,
    split: Annotated[
        Literal["train", "test"], typer.Option(metavar="train|test", help="To learn on, or to be judged on only.")
    ] = "train",
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Add prompts from a file, to learn on or to be judged on, or count those that are here.

    \b
    Example:
      arena rlhf prompts
      arena rlhf prompts questions.txt --split test
    """
    with Store(db, create=False) as store:
        from arena.text_files import read_lines

        before = {prompt.id: prompt for prompt in store.prompts()}
        ids = [] if file is None else store.add_prompts(read_lines(file), split, file.name)
        after = store.prompts()
    found = {part: sum(prompt.split == part for prompt in after) for part in ("train", "test")}
    other = sum(number in before and before[number].split != split for number in ids)
    if json:
        print_json(found | {"added": len(after) - len(before), "of_the_other_split": other})
        return
    if file is not None:
        say(f"{len(after) - len(before):,} new prompts" + (f"; {other:,} stay in the other split" if other else ""))
    print(f"{found['train']:,} to learn on, {found['test']:,} to be judged on")


@app.command()
def sample(
    model: Parent = None,
    prompts: Annotated[int, typer.Option(metavar="N", min=1, help="Training prompts to answer.")] = 400,
    prompt_file: Annotated[
        Path | None, typer.Option("--prompts-from", metavar="FILE", help="New prompts, one a line, to answer.")
    ] = None,
    each: Annotated[int, typer.Option(metavar="N", min=1, max=64, help="Completions per prompt.")] = 2,
    tokens: Tokens = 64,
    temperature: Annotated[float, typer.Option(min=0.05, max=10)] = 1.0,
    top_k: Annotated[int, typer.Option("--top-k", min=0, help="Only from the N likeliest tokens; 0: from all.")] = 0,
    top_p: Annotated[float, typer.Option("--top-p", min=0.01, max=1.0)] = 1.0,
    seed: Seed = 0,
    device: Device = "auto",
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Sample completions to be judged. What is there already, with the same settings, is not drawn again.

    \b
    Example:
      arena rlhf sample --prompts 400 --each 2
    """
    with Store(db, create=False) as store:
        from arena.feedback import Sampling, sample_completions
        from arena.text_files import read_lines
        from arena.text_models import model_named

        chosen_model = model_named(store, model or newest(store, "rlhf", "dpo", "sft", "imported", "pretrained"))
        if prompt_file is not None:
            ids = store.add_prompts(read_lines(prompt_file), "train", prompt_file.name)
        else:
            ids = [prompt.id for prompt in store.prompts("train")][:prompts]
        if not ids:
            raise UsageError("there are no prompts yet; give some with --prompts-from FILE")
        sampling = Sampling(each, tokens, temperature, top_k, top_p, seed)
        with stoppable() as should_stop, Meter() as meter:
            for done, total in sample_completions(store, chosen_model, ids, sampling, should_stop, device):
                meter.update(f"sample {chosen_model}", done, total, "prompts")
        count = len(store.completions(model=store.text_model(chosen_model).id))
    if json:
        print_json({"model": chosen_model, "prompts": len(ids), "completions": count})
    else:
        print(f"{clean(chosen_model)}: {count:,} completions; next: arena rlhf pairs")
    if should_stop():
        raise typer.Exit(INTERRUPTED)


@app.command()
def pairs(
    count: Annotated[int, typer.Option("--count", "-n", metavar="N", min=1, help="Pairs to propose.")] = 400,
    by: Annotated[str, typer.Option(metavar="HOW", help="random, or uncertainty (with a share of random).")] = "random",
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Only completions of this model.")] = None,
    reward_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose heads must disagree; else the newest reward model.")
    ] = None,
    seed: Seed = 0,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Propose pairs of completions to be labelled, hidden repeats among them (`arena prefs pairs` has more options).

    \b
    Example:
      arena rlhf pairs --count 400
      arena rlhf pairs --count 200 --by uncertainty
    """
    if by not in ("random", "uncertainty"):
        raise UsageError(f"--by {by}: known are random and uncertainty")
    with Store(db, create=False) as store:
        from arena.asking import ask_for

        judge = (reward_model or newest(store, "reward")) if by == "uncertainty" else None
        asked = ask_for(store, count, models=[model] if model else [], reward_model=judge, seed=seed)
    if json:
        print_json(asked)
    else:
        print(
            f"{asked.random} random pairs, {asked.uncertainty} uncertain ones, {asked.repeats} hidden repeats; "
            "next: arena label"
        )


@app.command()
def reward(
    ctx: typer.Context,
    model: Parent = None,
    by: By = None,
    tokens: Tokens = 64,
    name: Name = None,
    settings: Set = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Train a reward model on the labels, and say how far to trust it.

    \b
    Example:
      arena rlhf reward
      arena rlhf reward --by anna --set members=8 --json
    """

    def config(store: Store) -> Mapping[str, Any]:
        from arena.feedback import reward_config

        return reward_config(
            store, configure("reward", settings), model or newest(store, "sft", "imported"), by, tokens
        )

    done = run_training(ctx, db, "reward", name, config, seed, device, resume, json=False, quiet=True)
    with Store(db, create=False) as store:
        from arena.text_models import reward_report

        report = reward_report(store, done.run)
    print_json({"model": done.run, **report}) if json else print_reward(done.run, report)


@app.command()
def ppo(
    ctx: typer.Context,
    model: Parent = None,
    reward_model: Annotated[str | None, typer.Option(metavar="NAME", help="Else the newest reward model.")] = None,
    reward: Annotated[
        str, typer.Option(metavar="MODULE:FUNCTION", help="A Python function instead: agents.rewards:full_stops.")
    ] = "",
    completions: Annotated[int, typer.Option(metavar="N", min=1, help="Completions to learn from, in all.")] = 4096,
    gold: Annotated[str, typer.Option(metavar="RUBRIC", help="Keep what this rubric says of every rollout, too.")] = "",
    name: Name = None,
    settings: Set = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = False,
    allow_code: Annotated[
        bool, typer.Option("--allow-code", help="Let a resumed run call the --reward or --gold stored with it.")
    ] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """RLHF: improve a model by PPO against a reward, held to what it was by a KL penalty.

    \b
    Example:
      arena rlhf ppo
      arena rlhf ppo --reward agents.rewards:full_stops --set kl_coef=0.2
    """

    def config(store: Store) -> Mapping[str, Any]:
        from arena.feedback import rlhf_config

        judge = "" if reward else reward_model or newest(store, "reward")
        start = model or newest(store, "sft", "imported")
        return rlhf_config(store, configure("rlhf", settings), start, completions, judge, reward, gold)

    run_training(ctx, db, "rlhf", name, config, seed, device, resume, json, allow_code)


@app.command()
def dpo(
    ctx: typer.Context,
    model: Parent = None,
    by: By = None,
    online: Annotated[
        bool, typer.Option("--online", help="Learn from completions of its own that a reward model compares.")
    ] = False,
    reward_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Which compares, with --online; else the newest.")
    ] = None,
    completions: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="How many, with --online; else 4096.")
    ] = None,
    name: Name = None,
    settings: Set = None,
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Improve a model by DPO: directly from the labels, or online, on its own completions and a reward model's word.

    \b
    Example:
      arena rlhf dpo --set beta=0.2
      arena rlhf dpo --online
    """
    if not online and not resume and (reward_model or completions):
        raise UsageError("--reward-model and --completions are for --online; DPO learns from the labels themselves")
    if online and by:
        raise UsageError(
            "--online learns from a reward model, and --by chooses labels; `arena rlhf reward --by` has it"
        )

    def config(store: Store) -> Mapping[str, Any]:
        from arena.feedback import dpo_config, online_dpo_config

        start = model or newest(store, "sft", "imported")
        if not online:
            return dpo_config(store, configure("dpo", settings), start, by)
        judge = reward_model or newest(store, "reward")
        return online_dpo_config(store, configure("online_dpo", settings), start, completions or 4096, judge)

    run_training(ctx, db, "online_dpo" if online else "dpo", name, config, seed, device, resume, json)


@app.command()
def status(db: Db = DEFAULT_DB, json: Json = False) -> None:
    """Say what is there, and what comes next.

    \b
    Example:
      arena rlhf status
    """
    with Store(db, create=False) as store:
        from arena.feedback_status import feedback_status

        found = feedback_status(store)
    if json:
        print_json(found)
        return
    for what, amount in found.counts.items():
        print(f"{what:<16} {amount:>8,}")
    for name in found.at_work:
        say(f"at work: {clean(name)}")
    for run in found.unfinished:
        say(f"unfinished: {clean(shlex.join(['arena', *run.words]))}")
    print(f"\nnext: {clean(found.next)}\n      {clean(found.why)}")
