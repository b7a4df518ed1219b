"""Reward functions of strings: what they are given, and what they may return."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agents.rewards import full_stops, load_text_reward, token_reward
from agents.sequences import make_sequences
from agents.tokenizer import encode_completion, encode_prompt
from agents.transformer import TextModel
from envs.errors import UsageError

Tiny = Callable[[int], TextModel]


def test_full_stops_are_counted() -> None:
    assert full_stops(["a", "b"], ["One. Two.. ", ""]) == [3.0, 0.0]


def test_tokens_become_the_texts_they_stand_for(tiny_model: Tiny) -> None:
    model = tiny_model(0)
    seen: list[tuple[list[str], list[str]]] = []

    def remember(prompts: list[str], completions: list[str]) -> list[float]:
        seen.append((prompts, completions))
        return [1.5, -2.0]

    prompts, completions = ["one two?", "six"], ["three. four", "seven"]
    sequences = make_sequences(
        [encode_prompt(model.tokenizer, prompt) for prompt in prompts],
        [
            encode_completion(model.tokenizer, text, end=end)
            for text, end in zip(completions, (True, False), strict=True)
        ],
        fill=2,
    )
    assert token_reward(remember, model)(sequences).tolist() == [1.5, -2.0]
    assert seen == [(prompts, completions)]


@pytest.mark.parametrize("result", ["[1.0]", "[float('nan'), 0.0]", "None", "['a', 'b']"])
def test_other_results_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: str) -> None:
    name = f"mine_{abs(hash(result))}"
    (tmp_path / f"{name}.py").write_text(f"def reward(prompts, completions):\n    return {result}\n")
    monkeypatch.chdir(tmp_path)
    reward = load_text_reward(f"{name}:reward")
    with pytest.raises(UsageError, match="must return 2 finite numbers"):
        reward(["p", "p"], ["a", "b"])


def test_one_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_fails.py").write_text("def reward(prompts, completions):\n    return [1 / 0 for _ in prompts]\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="reward=mine_fails:reward failed: ZeroDivisionError"):
        load_text_reward("mine_fails:reward")(["p"], ["a"])
