"""Human feedback from Store to Store: every training as a run, and sampling completions to be judged.

A training is a run like the games' (`runs`, metrics, resume state); the model it makes has the run's name. Whatever
ends it, it goes on from its last report that carried a state, and a model is there whole or not at all.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.configs import Config
from agents.metrics import Metrics
from agents.rewards import load_text_reward
from agents.text_configs import HELP_DESK_POSTS
from agents.transformer import TransformerConfig
from arena.annotators import scorer
from arena.checkpoints import pack_state, unpack_state
from arena.comparisons import selection
from arena.feedback_stages import CONFIGS, Stage, build, corpus_texts, device_of
from arena.feedback_status import code_of, free_name
from arena.locks import hold
from arena.provenance import commit_hash, versions
from arena.records import Run, RunStatus
from arena.records_text import Completion
from arena.store import Store
from arena.text_models import complete, load_text_model, model_named, that_fit
from envs import helpdesk
from envs.errors import ArenaError, UsageError

GAME = "text"
"""The `game` of these runs."""
DEMONSTRATIONS, TRAIN_PROMPTS, TEST_PROMPTS = 3000, 1000, 200
PROMPT_SEED = 11
METRICS_SECONDS = 2.0
"""How often a run's metrics are written between its checkpoints, for whoever watches."""


@dataclass(frozen=True)
class TextProgress:
    """Where a training is.

    Attributes:
        step, total: optimizer steps, labels or completions, as the algorithm counts them.
        seconds_left: None while nothing is known.
        state: "running", or how it ended, in the last report.
        values: all metrics of this report.
        model: the name of the model it made, in the last report of a finished run.
    """

    run: str
    algorithm: str
    step: int
    total: int
    seconds_left: float | None
    state: RunStatus
    values: Mapping[str, float] = field(default_factory=dict)
    model: str | None = None


def never() -> bool:
    return False


def add_help_desk(store: Store, demonstrations: int = DEMONSTRATIONS) -> None:
    """Prompts and demonstrations of the shipped language, where the Store has none of its own."""
    if not store.prompts("test", limit=1):
        store.add_prompts([helpdesk.LECTURE_PROMPT], "test", "lecture")
        store.add_prompts(helpdesk.prompts("test", TEST_PROMPTS, PROMPT_SEED), "test", "helpdesk")
    if not store.demonstrations("train"):
        store.add_prompts(helpdesk.prompts("train", TRAIN_PROMPTS, PROMPT_SEED), "train", "helpdesk")
        examples = helpdesk.demonstrations(demonstrations, PROMPT_SEED)
        taken = {prompt.text for prompt in store.prompts("test")}
        store.add_demonstrations([example for example in examples if example[0] not in taken], "helpdesk")


def pretrain_config(
    settings: Config,
    corpus: Sequence[str] = (),
    posts: int = HELP_DESK_POSTS,
    vocab_size: int = 1024,
    shape: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """What a pre-training run keeps; `shape` are fields of TransformerConfig."""
    config = {
        "settings": dataclasses.asdict(settings),
        "corpus": list(corpus),
        "vocab_size": vocab_size,
        "transformer": dataclasses.asdict(TransformerConfig(**(shape or {}))),
    }
    return config | ({"sha256": corpus_texts(corpus)[1]} if corpus else {"posts": posts})


def sft_config(store: Store, settings: Config, parent: str) -> dict[str, Any]:
    """What a fine-tuning run keeps: the demonstrations that are there now."""
    count = len(store.demonstrations("train"))
    return {"settings": dataclasses.asdict(settings), "parent": model_named(store, parent), "demonstrations": count}


def reward_config(
    store: Store, settings: Config, parent: str, annotators: Sequence[str] | None = None, max_new_tokens: int = 64
) -> dict[str, Any]:
    """What a reward model's run keeps: the labels and demonstrations that are there now."""
    return {
        "settings": dataclasses.asdict(settings),
        "parent": model_named(store, parent),
        "labels": selection(store, annotators),
        "demonstrations": len(store.demonstrations("train")),
        "max_new_tokens": max_new_tokens,
    }


def rlhf_config(
    store: Store,
    settings: Config,
    parent: str,
    completions: int,
    reward_model: str = "",
    reward: str = "",
    gold: str = "",
) -> dict[str, Any]:
    """What a PPO run keeps; either a reward model's name or a `module:function`, which is imported to be checked.

    `gold` is a rubric or a `module:function` whose mean over every rollout is kept beside the reward, for study.
    """
    if bool(reward) == bool(reward_model):
        raise UsageError("give either a reward model or --reward module:function, and not both")
    if completions <= 0:
        raise UsageError(f"completions={completions} must be more than 0")
    if reward:
        load_text_reward(reward)
    if gold:
        scorer(gold)
    return {
        "settings": dataclasses.asdict(settings),
        "parent": model_named(store, parent),
        "reward_model": reward_model and store.text_model(reward_model).name,
        "reward": reward,
        "gold": gold,
        "prompts": len(store.prompts("train")),
        "completions": completions,
    }


def dpo_config(store: Store, settings: Config, parent: str, annotators: Sequence[str] | None = None) -> dict[str, Any]:
    """What a DPO run keeps: the labels that are there now."""
    return {
        "settings": dataclasses.asdict(settings),
        "parent": model_named(store, parent),
        "labels": selection(store, annotators),
    }


def online_dpo_config(
    store: Store, settings: Config, parent: str, completions: int, reward_model: str
) -> dict[str, Any]:
    """What a run of online DPO keeps."""
    if completions <= 0:
        raise UsageError(f"completions={completions} must be more than 0")
    return {
        "settings": dataclasses.asdict(settings),
        "parent": model_named(store, parent),
        "reward_model": store.text_model(reward_model).name,
        "prompts": len(store.prompts("train")),
        "completions": completions,
    }


def train_text(
    store: Store,
    name: str | None,
    algorithm: str,
    config: Mapping[str, Any],
    *,
    seed: int = 0,
    device: str = "auto",
    should_stop: Callable[[], bool] = never,
) -> Iterator[TextProgress]:
    """Begin a run and carry it on to its end or until `should_stop()`; the last report says how it ended.

    Raises UsageError for a name that is taken and for settings that cannot be trained; then no run was begun.
    """
    name = name or free_name(store, algorithm)
    if name in {model.name for model in store.text_models()}:
        raise UsageError(f"there is a model {name!r} already; choose another name")
    device = device_of(device)
    stage = build(store, algorithm, config, seed, device)
    run = Run(
        name=name,
        game=GAME,
        algorithm=algorithm,
        config=dict(config),
        seed=seed,
        total_steps=stage.total,
        device=device,
        versions=versions(),
        commit_hash=commit_hash(),
    )
    run = dataclasses.replace(run, id=store.create_run(run))
    yield from _carry_on(store, run, stage, should_stop)


def resume_text(
    store: Store, name: str, *, allow_code: bool = False, should_stop: Callable[[], bool] = never
) -> Iterator[TextProgress]:
    """Go on with a run that was stopped, failed or killed. Raises UsageError where nothing is left to do."""
    run = store.run(name)
    if run.game != GAME or run.algorithm not in CONFIGS:
        raise UsageError(f"run {name} trains no text model; go on with it by `arena train --resume`")
    if run.state == "finished":
        raise UsageError(f"run {name} has finished; its model is {name}")
    for code in code_of(run):
        if not allow_code:
            raise UsageError(f"run {name} was begun with the code of {code}; --allow-code runs it again")
    yield from _carry_on(store, run, build(store, run.algorithm, run.config, run.seed, run.device), should_stop)


def _carry_on(store: Store, run: Run, stage: Stage, should_stop: Callable[[], bool]) -> Iterator[TextProgress]:
    with hold(store.path, f"run-{run.id}", f"run {run.name}"):
        run = store.run(run.name)
        store.extend_run(run.id, run.total_steps)
        saved = store.run_state(run.id)
        began, first = time.monotonic(), 0 if saved is None else saved.step
        metrics: list[tuple[int, dict[str, float]]] = []
        written = began
        ended: RunStatus = "stopped"
        error: str | None = None
        last: Metrics | None = None

        def commit(report: Metrics) -> None:
            if stage.watch is not None:
                _keep_samples(store, run, stage.watch(report.step))
            assert report.state is not None
            packed = pack_state(store, run, report.step, report.state)
            store.commit_interval(run.id, report.step, run.seconds + time.monotonic() - began, metrics, packed)
            metrics.clear()

        generator: Any = stage.train(None if saved is None else unpack_state(store, run, saved), should_stop)
        try:
            for last in generator:
                metrics.append((last.step, last.values))
                if last.state is not None:
                    commit(last)
                if (now := time.monotonic()) >= written + METRICS_SECONDS:
                    written = now
                    store.add_metrics(run.id, metrics)
                    metrics.clear()
                rate = (last.step - first) / max(time.monotonic() - began, 1e-9)
                left = (run.total_steps - last.step) / rate if rate > 0 else None
                yield TextProgress(run.name, run.algorithm, last.step, run.total_steps, left, "running", last.values)
            if not should_stop() or (last is not None and last.step >= run.total_steps):
                measured = stage.measure()
                step = first if last is None else last.step
                if run.name not in {model.name for model in store.text_models()}:
                    store.add_text_model(run.name, stage.kind, stage.files(), stage.parent, run.id)
                store.commit_interval(run.id, step, run.seconds + time.monotonic() - began, [(step, measured)])
                ended = "finished"
        except ArenaError as failure:
            ended, error = "failed", str(failure)
            raise
        except Exception as failure:
            ended, error = "failed", f"{type(failure).__name__}: {failure}"
            raise
        finally:
            if isinstance(generator, Generator):
                generator.close()
            store.finish_run(run.id, ended, error)
        values = {} if last is None else last.values
        model = run.name if ended == "finished" else None
        step = first if last is None else last.step
        yield TextProgress(run.name, run.algorithm, step, run.total_steps, None, ended, values, model)


def _keep_samples(store: Store, run: Run, samples: Sequence[Completion]) -> None:
    """Keep what a run answers at a step; once, however often it gets there."""
    kept = {completion.step for completion in store.completions(run=run.id)}
    new = [dataclasses.replace(sample, run=run.id) for sample in samples if sample.step not in kept]
    if new:
        store.add_completions(new)


@dataclass(frozen=True)
class Sampling:
    """How completions are drawn: `each` per prompt."""

    each: int = 4
    max_new_tokens: int = 64
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0


def sample_completions(
    store: Store,
    model_name: str,
    prompts: Sequence[int],
    sampling: Sampling,
    should_stop: Callable[[], bool] = never,
    device: str = "auto",
) -> Iterator[tuple[int, int]]:
    """Draw completions of prompts (ids) into the Store; yields (prompts done, prompts in all).

    Prompts that have them already, of the same model and settings, are passed over, so a sampling that was cut short
    goes on.
    """
    row = store.text_model(model_named(store, model_name))
    kept: dict[int, int] = {}
    for completion in store.completions(model=row.id):
        same = (completion.temperature, completion.top_k, completion.top_p, completion.seed)
        if same == (sampling.temperature, sampling.top_k, sampling.top_p, sampling.seed):
            kept[completion.prompt] = kept.get(completion.prompt, 0) + 1
    missing = {prompt: sampling.each - kept.get(prompt, 0) for prompt in prompts}
    left = [prompt for prompt in prompts if missing[prompt] > 0]
    done = len(prompts) - len(left)
    yield done, len(prompts)
    if not left:
        return
    model = load_text_model(store, row.name, device_of(device))
    texts = {prompt.id: prompt.text for prompt in store.prompts()}
    short = [left[number] for number in that_fit(model, [texts[prompt] for prompt in left], sampling.max_new_tokens)]
    left, done = short, done + len(left) - len(short)
    stride = max(1, 256 // sampling.each)
    for start in range(0, len(left), stride):
        if should_stop():
            return
        ids = [prompt for prompt in left[start : start + stride] for _ in range(missing[prompt])]
        answers = complete(
            model,
            [texts[prompt] for prompt in ids],
            sampling.max_new_tokens,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            seed=hash((sampling.seed, ids[0], kept.get(ids[0], 0))) & 0x7FFFFFFF,
        )
        store.add_completions(
            [
                Completion(
                    prompt, text, ended, row.id,
                    temperature=sampling.temperature, top_k=sampling.top_k, top_p=sampling.top_p, seed=sampling.seed,
                )
                for prompt, (text, ended) in zip(ids, answers, strict=True)
            ]
        )  # fmt: skip
        yield done + min(start + stride, len(left)), len(prompts)
