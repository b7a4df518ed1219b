"""Proposing pairs from the Store: nothing twice, repeats later than their originals, an ensemble's doubts first."""

from __future__ import annotations

from pathlib import Path

import pytest

from arena import asking
from arena.asking import Asked, ask_for
from arena.records_text import Completion
from arena.store import Store
from envs.errors import UnknownNameError, UsageError


@pytest.fixture
def store(tmp_path: Path):
    with Store(tmp_path / "league.db") as store:
        model = store.add_text_model("sft-1", "sft", {"a": b""})
        for n, prompt in enumerate(store.add_prompts([f"prompt {n}" for n in range(30)])):
            texts = ("one", "two", "three", "one")
            store.add_completions(
                [Completion(prompt, text, model=model if m < 2 else None, seed=n) for m, text in enumerate(texts)]
            )
        (prompt,) = store.add_prompts(["held out"], "test")
        store.add_completions([Completion(prompt, "one"), Completion(prompt, "two")])
        yield store


def test_pairs_and_their_repeats(store: Store) -> None:
    assert ask_for(store, 40, repeat_share=0.25, seed=1) == Asked(random=30, uncertainty=0, repeats=10)
    pairs = store.pairs()
    assert len(pairs) == 40
    assert {pair.prompt for pair in pairs} == set(range(1, 31)), "every prompt once before any is asked twice"
    again = [pair for pair in pairs if pair.repeat_of is not None]
    assert all(pair.repeat_of is not None and pair.repeat_of < pair.id for pair in again)
    assert min(pair.id for pair in again) < max(pair.id for pair in pairs if pair.repeat_of is None), "mixed"
    texts = {row.id: row.text for row in store.completions()}
    assert all(texts[pair.completion_a] != texts[pair.completion_b] for pair in pairs)


def test_no_texts_are_paired_twice(store: Store) -> None:
    ask_for(store, 10**4, repeat_share=0, models=["sft-1"])
    assert len(store.pairs()) == 30
    store.add_completions([Completion(prompt.id, "two") for prompt in store.prompts("train")])
    assert ask_for(store, 10**4, repeat_share=0).random == 60, "one-three and two-three, under whichever completion"
    with pytest.raises(UsageError, match="nothing left to pair"):
        ask_for(store, 1)
    assert ask_for(store, 5, split="test", repeat_share=0).random == 1


def test_an_ensembles_doubts_come_with_a_random_share(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def rewards(store, name, completions, drawn):
        assert name == "reward-1"
        needed = {one for pair in drawn for one in (pair.completion_a, pair.completion_b)}
        return {
            row.id: (0.0, float(row.prompt)) if row.text == "one" else (0.0, 0.0)
            for row in completions
            if row.id in needed
        }

    monkeypatch.setattr(asking, "_rewards", rewards)
    found = ask_for(store, 20, reward_model="reward-1", random_share=0.2, repeat_share=0, seed=2)
    assert found == Asked(random=4, uncertainty=16, repeats=0)
    texts = {row.id: row.text for row in store.completions()}
    for pair in store.pairs(["uncertainty"]):
        assert "one" in (texts[pair.completion_a], texts[pair.completion_b]), "two and three are certain"


def test_what_cannot_be_asked_is_told(store: Store) -> None:
    with pytest.raises(UnknownNameError, match="did you mean sft-1"):
        ask_for(store, 5, models=["sft-2"])
    with pytest.raises(UsageError, match="from 0 to 1"):
        ask_for(store, 5, random_share=2)
    assert store.pairs() == []


@pytest.mark.slow
def test_a_stored_ensemble_chooses(tmp_path: Path, tiny_model) -> None:
    torch = pytest.importorskip("torch")
    from agents.reward_model import RewardModel
    from arena.preferences import disagreement
    from arena.text_models import encode, load_reward_model, reward_files

    def rewarder(members: int) -> dict[str, bytes]:
        return reward_files(RewardModel.fresh(tiny_model(0), members, torch.Generator().manual_seed(0)), {})

    with Store(tmp_path / "league.db") as store:
        store.add_text_model("judge", "reward", rewarder(3))
        store.add_text_model("alone", "reward", rewarder(1))
        words = ("one", "two", "three", "four", "five", "six")
        for prompt in store.add_prompts([f"{a} {b}" for a in words for b in words]):
            store.add_completions([Completion(prompt, word) for word in words[:2]])
        found = ask_for(store, 8, reward_model="judge", random_share=0.25, repeat_share=0, seed=1)
        assert found == Asked(random=2, uncertainty=6, repeats=0)
        model = load_reward_model(store, "judge")
        prompts = store.prompts()
        scores = [
            model.scores(encode(model.model, [(prompt.text, word, True) for prompt in prompts])) for word in words[:2]
        ]
        doubts = {p.id: disagreement(*rows) for p, *rows in zip(prompts, *(s.tolist() for s in scores), strict=True)}
        chosen = {pair.prompt for pair in store.pairs(["uncertainty"])}
        assert chosen == set(sorted(doubts, key=lambda prompt: -doubts[prompt])[:6])
        with pytest.raises(UsageError, match="one member"):
            ask_for(store, 8, reward_model="alone")
        with pytest.raises(UnknownNameError, match="did you mean judge"):
            ask_for(store, 8, reward_model="jugde")
