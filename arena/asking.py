"""From completions in the Store to pairs that wait for annotators, hidden repeats among them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from arena.preferences import OVERSAMPLE, RANDOM_SHARE, propose, repeats
from arena.records_text import Completion, Pair, Proposer, Split
from arena.store import Store
from envs.errors import UsageError

REPEAT_SHARE = 0.05
"""How many of the pairs are hidden repeats: what self-consistency is measured on."""


@dataclass(frozen=True)
class Asked:
    """How many pairs were proposed, by origin; `repeats` are hidden repeats of others among them."""

    random: int
    uncertainty: int
    repeats: int


def ask_for(
    store: Store,
    count: int,
    *,
    models: Sequence[str] = (),
    split: Split = "train",
    reward_model: str | None = None,
    random_share: float = RANDOM_SHARE,
    repeat_share: float = REPEAT_SHARE,
    seed: int = 0,
) -> Asked:
    """Propose up to `count` pairs and keep them.

    Args:
        models: only completions of these; none: of all, imported ones too.
        reward_model: an ensemble whose disagreement chooses all but `random_share` of the pairs.
        repeat_share: how many are repeats of others of this batch, shown later and on the other sides.

    Raises:
        UsageError: there is nothing left to pair.
    """
    if not 0 <= random_share <= 1 or not 0 <= repeat_share < 1:
        raise UsageError("shares are numbers from 0 to 1")
    wanted = {store.text_model(name).id for name in models}
    every = store.completions(split=split)
    completions = [row for row in every if not wanted or row.model in wanted]
    taken = _taken(store, every, completions)
    again = round(count * repeat_share)
    rewards = None
    if reward_model is not None:
        drawn = propose(completions, taken, (count - again) * OVERSAMPLE, seed)
        rewards = _rewards(store, reward_model, completions, drawn)
    pairs = propose(completions, taken, count - again, seed, rewards, random_share)
    if not pairs:
        raise UsageError(
            "there is nothing left to pair: every two different completions of a prompt are pairs already; "
            "`arena rlhf sample` makes more"
        )
    # Repeats stand in the last third of the batch, mixed with new pairs, and repeat pairs of the first two thirds.
    early = 2 * len(pairs) // 3 or len(pairs)
    stored = [store.pair(pair) for pair in store.add_pairs(pairs[:early])]
    repeated = repeats(stored, min(again, len(pairs)), seed)
    late = pairs[early:] + repeated
    random.Random(seed).shuffle(late)
    store.add_pairs(late)
    uncertain = sum(pair.proposed_by == "uncertainty" for pair in pairs)
    return Asked(len(pairs) - uncertain, uncertain, len(repeated))


def _taken(store: Store, every: Sequence[Completion], candidates: Sequence[Completion]) -> set[tuple[int, int]]:
    """Pairs of candidates whose texts have been paired before, under whichever completions."""
    texts = {row.id: (row.prompt, row.text) for row in every}
    standing: dict[tuple[int, str], int] = {}
    for row in candidates:
        standing.setdefault((row.prompt, row.text), row.id)
    taken = set()
    for pair in store.pairs(get_args(Proposer)):
        keys = texts.get(pair.completion_a), texts.get(pair.completion_b)
        if keys[0] in standing and keys[1] in standing:
            taken.add((standing[keys[0]], standing[keys[1]]))
    return taken


def _rewards(
    store: Store, name: str, completions: Sequence[Completion], drawn: Sequence[Pair]
) -> Mapping[int, Sequence[float]]:
    """What each member of a stored reward model gives the completions of some pairs."""
    from arena.text_models import encode, load_reward_model

    model = load_reward_model(store, name)
    if model.heads.out_features < 2:
        raise UsageError(f"the reward model {name!r} has one member: an ensemble is needed to disagree")
    ids = {completion for pair in drawn for completion in (pair.completion_a, pair.completion_b)}
    chosen = [row for row in completions if row.id in ids]
    prompts = {prompt: store.prompt(prompt).text for prompt in {row.prompt for row in chosen}}
    scores = model.scores(encode(model.model, [(prompts[row.prompt], row.text, row.ended) for row in chosen]))
    return {row.id: values for row, values in zip(chosen, scores.tolist(), strict=True)}
