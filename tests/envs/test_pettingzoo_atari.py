"""PettingZoo's Atari games: PettingZoo's own frames, and the same games for learning on however many threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ale_py
import numpy as np
import pettingzoo
import pytest
import torch

from envs import chance
from envs.conformance import check_env
from envs.pettingzoo_atari import AtariPlayers
from envs.pettingzoo_atari_learning import AtariPlayersEnv
from envs.registry import make
from envs.specs import parse_variant

PONG = "pettingzoo/atari/pong_v3"
SEEDS = torch.tensor([5, 2**62 + 1])
ROMS = str(Path(ale_py.__file__).parent)


@pytest.mark.slow
def test_conforms() -> None:
    assert check_env(f"{PONG}?max_cycles=40", steps=8) == []


@pytest.mark.parametrize(
    ("name", "limit", "steps"),
    [
        ("pong_v3", 102, 30),
        pytest.param("entombed_competitive_v3", 100_000, 500, marks=pytest.mark.slow),
        pytest.param("warlords_v3", 4_000, 440, marks=pytest.mark.slow),
    ],
)
def test_plays_pettingzoos_own_frames(name: str, limit: int, steps: int) -> None:
    """Rewards, eliminations and ends are those of PettingZoo's wrappers, which take longer over a frame."""
    theirs: Any = pettingzoo.make(
        "parallel", f"atari/{name.replace('_v', '-v')}", max_cycles=limit, auto_rom_install_path=ROMS
    )
    ours = AtariPlayers(parse_variant(f"pettingzoo/atari/{name}?max_cycles={limit}"))
    theirs.reset(seed=7)
    ours.reset(7)
    rng = np.random.default_rng(0)
    ended = (False, False)
    for _ in range(steps):
        action = rng.integers(0, ours.spec.num_actions or 0, ours.spec.num_players)
        pressed = [
            ours.spec.action_names.index(ours.names(seat)[chosen]) for seat, chosen in enumerate(action.tolist())
        ]
        expected, stopped = np.zeros(ours.spec.num_players), False
        for _ in range(4):
            if theirs.agents:
                chosen = {agent: pressed[theirs.possible_agents.index(agent)] for agent in theirs.agents}
                _, gained, terminated, _, _ = theirs.step(chosen)
                expected += [gained.get(agent, 0) for agent in theirs.possible_agents]
                stopped = any(terminated.values())
        rewards, *ended = ours.step(action)
        assert list(rewards) == expected.tolist()
        assert ours.fingerprint() == theirs.unwrapped.ale.getRAM().tobytes()
        over = not theirs.agents
        assert tuple(ended) == (over and stopped, over and not stopped)
        player = np.full(ours.spec.num_players, -1)
        ours.observe(np.zeros((ours.spec.num_players, *ours.spec.observation_shape), np.uint8), None, player)
        playing = [theirs.possible_agents.index(agent) for agent in theirs.agents]
        assert over or player[player >= 0].tolist() == playing
        if over:
            break
    assert tuple(ended) == (name == "entombed_competitive_v3", name == "pong_v3")
    assert len(playing) == {"entombed_competitive_v3": 0, "pong_v3": 0, "warlords_v3": 3}[name]


@pytest.mark.slow
def test_learning_and_playing_see_the_same_game() -> None:
    learning, playing = make(f"{PONG}?max_cycles=42", 2), make(f"{PONG}?max_cycles=42", 2, autoreset=False)
    assert isinstance(learning, AtariPlayersEnv)
    assert not learning.exact
    assert playing.exact
    turn = learning.reset(SEEDS)
    assert torch.equal(turn.observation, playing.reset(SEEDS).observation)
    generator = torch.Generator().manual_seed(0)
    for number in range(11):
        action = torch.randint(0, 6, (2, 2), generator=generator)
        ours, theirs = learning.step(action), playing.step(action)
        assert torch.equal(ours.final.observation, theirs.final.observation)
        assert torch.equal(ours.final.player, torch.tensor([[0, 1]] * 2))
        assert torch.equal(ours.rewards, theirs.rewards)
        assert learning.fingerprints() == playing.fingerprints()
        assert ours.truncated.tolist() == theirs.truncated.tolist() == [number == 10] * 2
    assert torch.equal(learning.seeds, chance.next_seed(SEEDS))
    assert torch.equal(ours.turn.observation, turn.observation)  # Pong begins as it always does
    assert not torch.equal(ours.turn.observation, ours.final.observation)
    following = learning.step(action)
    assert not following.truncated.any()
    assert not torch.equal(following.final.observation, turn.observation)
    learning.close()


@pytest.mark.slow
def test_threads_change_nothing() -> None:
    """Games in which a generator fills the memory at the start, several to a slot."""
    variant = parse_variant("pettingzoo/atari/combat_tank_v2?max_cycles=20")
    seen = []
    for workers in (1, 2):
        env = AtariPlayersEnv([AtariPlayers(variant) for _ in range(2)], torch.device("cpu"), workers)
        steps = [env.reset(SEEDS).observation]
        for number in range(12):
            step = env.step(torch.full((2, 2), number))
            steps += [step.rewards, step.truncated, step.final.observation, step.turn.observation]
            steps.append(torch.tensor([list(print_) for print_ in env.fingerprints()]))
        env.close()
        seen.append(steps)
    assert any(bool(step.any()) for step in seen[0][2::5])  # games ended
    for others in seen[1:]:
        assert all(map(torch.equal, seen[0], others))


def test_an_error_in_a_thread_is_raised_and_the_others_end() -> None:
    variant = parse_variant(PONG)
    games = [AtariPlayers(variant) for _ in range(2)]
    env = AtariPlayersEnv(games, torch.device("cpu"), 2)

    def fail(action: Any) -> Any:
        raise RuntimeError("the emulator broke")

    games[0].step = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="the emulator broke"):
        env.step(torch.zeros(2, 2, dtype=torch.int64))
    env.close()


def test_no_seed_means_the_time_of_day() -> None:
    game = AtariPlayers(parse_variant("pettingzoo/atari/combat_tank_v2"))
    prints = []
    for seed in (0, 1, 2):
        game.reset(seed)
        prints.append(game.fingerprint())
    assert prints[0] == prints[1] != prints[2]
