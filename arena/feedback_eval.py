"""Did it work? Models against their reference on prompts that nothing was trained on.

Each model answers every test prompt with a sample of its own; answers to the same prompt are compared by a rubric and
by a reward model. KL is to the reference, in nats per completion, estimated from the model's own answers. Best-of-n
takes, of n answers of the reference, the one that the reward model likes best: what can be had without training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from agents.dpo import completion_log_probs
from agents.reward_model import RewardModel
from agents.scoring import Scorer, sharpen
from agents.sequences import make_sequences
from agents.tokenizer import pad_id
from agents.transformer import TextModel
from arena.agreement import Z95
from arena.records_text import Completion, Pair
from arena.store import Store
from arena.text_models import (
    as_text,
    complete,
    complete_tokens,
    encode,
    encode_prompts,
    load_reward_model,
    load_text_model,
    same_tokens,
)
from envs.errors import UsageError

Gold = Callable[[str, str], float]
"""(prompt, completion) → how good it truly is."""


@dataclass(frozen=True)
class WinRate:
    """How often the answers of one are better than another's to the same prompt, ties as ½, with a 95 % interval."""

    share: float
    low: float
    high: float
    ties: float
    comparisons: int


@dataclass(frozen=True)
class Evaluation:
    """What a model's answers to the test prompts are like.

    Attributes:
        model: its name, "best of n", or the reference's name and the temperature that it answers at.
        wins_gold, wins_reward: against the reference's answers, by the rubric and by the reward model.
        gold, reward: means over its answers; the reward is normalised on the reference's.
        kl: nats per completion to the reference; of best-of-n the exact bound ln n − (n − 1) / n.
        words, ended: mean length of an answer, share of answers that end by themselves.
        diversity: different word pairs per word pair, over all answers.
    """

    model: str
    wins_gold: WinRate | None
    wins_reward: WinRate | None
    gold: float | None
    reward: float | None
    kl: float
    words: float
    ended: float
    diversity: float


@dataclass(frozen=True)
class Answers:
    """One answer per prompt, judged."""

    completions: list[tuple[str, bool]]
    gold: np.ndarray | None
    reward: np.ndarray | None
    kl: float


def evaluate(
    store: Store,
    models: Sequence[str],
    reference: str,
    *,
    gold: Gold | None,
    reward_model: str | None,
    best_of: Sequence[int] = (4,),
    temperatures: Sequence[float] = (),
    prompts: int = 200,
    max_new_tokens: int = 64,
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda model, done, total: None,
) -> list[Evaluation]:
    """The reference, the models and best-of-n on the same test prompts; the models' answers are kept in the Store.

    At each of `temperatures` the reference answers once more: what can be had by writing what is likelier.

    Raises UsageError where there is nothing to ask or nothing to judge by, and where a model has other tokens than the
    reference.
    """
    if gold is None and reward_model is None:
        raise UsageError("nothing to judge by: give a --rubric or a reward model")
    asked = store.prompts("test", limit=prompts)
    if not asked:
        raise UsageError("there are no test prompts; `arena rlhf sft` brings those of the help desk")
    questions = [prompt.text for prompt in asked]
    rewarder = None if reward_model is None else load_reward_model(store, reward_model)
    base = load_text_model(store, reference)
    total = 1 + len(models) + len(temperatures) + len(best_of)
    progress(reference, 0, total)
    yardstick = _answers(base, base, questions, gold, rewarder, max_new_tokens, seed)
    found = [_evaluation(reference, yardstick, None)]
    rivals = _answers(base, base, questions, gold, rewarder, max_new_tokens, seed + 1)
    _keep(store, reference, [prompt.id for prompt in asked], rivals, seed + 1)
    for number, name in enumerate(models):
        progress(name, 1 + number, total)
        model = load_text_model(store, name)
        same_tokens(base, model, reference, name)
        answers = _answers(model, base, questions, gold, rewarder, max_new_tokens, seed + 2)
        found.append(_evaluation(name, answers, rivals))
        _keep(store, name, [prompt.id for prompt in asked], answers, seed + 2)
    for number, temperature in enumerate(temperatures):
        name = f"{reference} at {temperature:g}"
        progress(name, 1 + len(models) + number, total)
        model = sharpen(load_text_model(store, reference), temperature)
        answers = _answers(model, base, questions, gold, rewarder, max_new_tokens, seed + 2)
        found.append(_evaluation(name, answers, rivals))
    for number, n in enumerate(best_of if rewarder is not None else ()):
        progress(f"best of {n}", total - len(best_of) + number, total)
        assert rewarder is not None
        answers = best_of_n(base, rewarder, questions, n, gold, max_new_tokens, seed + 3)
        found.append(_evaluation(f"best of {n}", answers, rivals))
    progress("", total, total)
    return found


def best_of_n(
    model: TextModel,
    rewarder: RewardModel,
    prompts: Sequence[str],
    n: int,
    gold: Gold | None = None,
    max_new_tokens: int = 64,
    seed: int = 0,
) -> Answers:
    """Of n samples per prompt the one with the highest reward."""
    repeated = [prompt for prompt in prompts for _ in range(n)]
    samples = complete(model, repeated, max_new_tokens, seed=seed)
    rows = [(prompt, *sample) for prompt, sample in zip(repeated, samples, strict=True)]
    rewards = rewarder.reward(encode(rewarder.model, rows)).cpu().numpy().reshape(len(prompts), n)
    chosen = [samples[row * n + int(best)] for row, best in enumerate(rewards.argmax(1))]
    kl = math.log(n) - (n - 1) / n
    return Answers(chosen, _gold(gold, prompts, chosen), rewards.max(1), kl)


def win_rate(better: np.ndarray, other: np.ndarray) -> WinRate:
    """How often `better` [n] is more than `other` [n], ties as ½; Wilson's interval (1927)."""
    won = np.sign(better - other) / 2 + 0.5
    n, share = len(won), float(won.mean())
    spread = Z95 * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2))
    middle, scale = share + Z95**2 / (2 * n), 1 + Z95**2 / n
    ties = float((won == 0.5).mean())
    return WinRate(share, max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale), ties, n)


def diversity(answers: Sequence[str]) -> float:
    """Different pairs of neighbouring words per pair, over all answers: 1 where none comes twice."""
    pairs = [pair for answer in answers for pair in pairwise(answer.split())]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def blind_pairs(store: Store, model: str, reference: str, count: int, max_new_tokens: int = 64, seed: int = 0) -> int:
    """Pairs of a model's and its reference's answers to test prompts, for a person to judge blind; how many are new.

    The label screen hides who wrote what and shuffles the sides; `person_wins` reads the labels.
    """
    asked = store.prompts("test", limit=count)
    ids = [prompt.id for prompt in asked]
    questions = [prompt.text for prompt in asked]
    answers = []
    for number, name in enumerate((model, reference)):
        samples = complete(load_text_model(store, name), questions, max_new_tokens, seed=seed + number)
        answers.append(_keep(store, name, ids, Answers(samples, None, None, 0.0), seed + number))
    rows = store.completions(split="test")
    texts_of = {row.id: row.text for row in rows}
    before = len(store.pairs(("evaluation",)))
    different = [
        Pair(prompt, a, b, "evaluation")
        for prompt, a, b in zip(ids, *answers, strict=True)
        if texts_of[a] != texts_of[b]
    ]
    store.add_pairs(different)
    return len(store.pairs(("evaluation",))) - before


def person_wins(store: Store, model: str, reference: str) -> dict[str, WinRate]:
    """Annotator → how often the model's answer was preferred to the reference's in the blind pairs."""
    of = {row.id: row.model for row in store.completions(split="test")}
    ids = {name: store.text_model(name).id for name in (model, reference)}
    scores: dict[str, list[float]] = {}
    for label in store.labels(split="test", proposed_by=("evaluation",)):
        sides = (of.get(label.completion_a), of.get(label.completion_b))
        if set(sides) != set(ids.values()):
            continue
        sign = {"a": 1.0, "b": -1.0}.get(label.choice, 0.0)
        scores.setdefault(label.annotator, []).append(sign if sides[0] == ids[model] else -sign)
    return {name: win_rate(np.array(found), np.zeros(len(found))) for name, found in scores.items()}


def _answers(
    model: TextModel,
    base: TextModel,
    prompts: Sequence[str],
    gold: Gold | None,
    rewarder: RewardModel | None,
    max_new_tokens: int,
    seed: int,
) -> Answers:
    tokens = complete_tokens(model, prompts, max_new_tokens, seed=seed)
    samples = as_text(model, tokens)
    rows = [(prompt, *sample) for prompt, sample in zip(prompts, samples, strict=True)]
    sequences = make_sequences(
        encode_prompts(base, prompts, max_new_tokens), tokens, pad_id(base.tokenizer), base.device
    )
    ratio = completion_log_probs(Scorer(model), sequences) - completion_log_probs(Scorer(base), sequences)
    reward = None if rewarder is None else rewarder.reward(encode(rewarder.model, rows)).cpu().numpy()
    return Answers(samples, _gold(gold, prompts, samples), reward, float(ratio.mean()))


def _gold(gold: Gold | None, prompts: Sequence[str], samples: Sequence[tuple[str, bool]]) -> np.ndarray | None:
    if gold is None:
        return None
    return np.array([gold(prompt, text) for prompt, (text, _) in zip(prompts, samples, strict=True)])


def _evaluation(name: str, answers: Answers, rivals: Answers | None) -> Evaluation:
    def wins(own: np.ndarray | None, other: np.ndarray | None) -> WinRate | None:
        return None if own is None or other is None else win_rate(own, other)

    written = [text for text, _ in answers.completions]
    return Evaluation(
        model=name,
        wins_gold=None if rivals is None else wins(answers.gold, rivals.gold),
        wins_reward=None if rivals is None else wins(answers.reward, rivals.reward),
        gold=None if answers.gold is None else float(answers.gold.mean()),
        reward=None if answers.reward is None else float(answers.reward.mean()),
        kl=answers.kl,
        words=float(np.mean([len(text.split()) for text in written])),
        ended=float(np.mean([ended for _, ended in answers.completions])),
        diversity=diversity(written),
    )


def _keep(store: Store, name: str, prompts: Sequence[int], answers: Answers, seed: int) -> list[int]:
    """Store answers, those that are there already once; their ids."""
    model = store.text_model(name).id
    kept = {(row.prompt, row.seed): row.id for row in store.completions(model=model, split="test") if row.top_k is None}
    new = [
        Completion(prompt, text, ended, model, temperature=1.0, seed=seed)
        for prompt, (text, ended) in zip(prompts, answers.completions, strict=True)
        if (prompt, seed) not in kept
    ]
    added = dict(zip(((row.prompt, row.seed) for row in new), store.add_completions(new) if new else [], strict=True))
    return [(kept | added)[prompt, seed] for prompt in prompts]
