"""Atari: the emulators for learning and for playing show the same games; lives, seeds, recordings, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from envs import chance
from envs.atari import AtariEnv, shrink
from envs.conformance import check_env
from envs.errors import UnknownNameError, UsageError
from envs.pettingzoo_atari import AtariPlayers
from envs.registry import make
from envs.specs import parse_variant

SEEDS = torch.tensor([5, 2**62 + 1])


@pytest.mark.slow
@pytest.mark.parametrize("game", ["ALE/Breakout-v5?sticky=0"])
def test_conforms(game: str) -> None:
    assert check_env(game, steps=4) == []


@pytest.mark.parametrize(
    ("game", "steps"),
    [("ALE/Breakout-v5", 160), ("ALE/Freeway-v5?frame_skip=3", 60), ("ALE/Seaquest-v5?color=true&sticky=0.5", 40)],
)
@pytest.mark.slow
def test_learning_and_playing_see_the_same_game(game: str, steps: int) -> None:
    """Two implementations of one preparation: pictures, rewards and ends agree to the last bit."""
    learning, playing = make(game, 2), make(game, 2, autoreset=False)
    assert not learning.exact
    assert playing.exact
    assert torch.equal(learning.reset(SEEDS).observation, playing.reset(SEEDS).observation)
    generator = torch.Generator().manual_seed(0)
    actions = torch.randint(0, learning.spec.num_actions or 0, (steps, 2, 1), generator=generator)
    over = torch.zeros(2, dtype=torch.bool)
    for action in actions:
        ours, theirs = learning.step(action), playing.step(action)
        assert torch.equal(ours.final.observation[~over], theirs.final.observation[~over])
        assert torch.equal(ours.rewards[~over], theirs.rewards[~over])
        assert torch.equal(ours.terminated[~over], theirs.terminated[~over])
        over |= ours.terminated
    assert bool(over.any()) == game.startswith("ALE/Breakout")  # else nothing was said about ends


def test_a_lost_life_terminates_and_the_game_goes_on() -> None:
    env = make("ALE/Breakout-v5?sticky=0&life_loss=true", 1)
    env.reset(torch.tensor([3]))
    seed, lives, fire = env.seeds.clone(), 0, torch.tensor([[1]])
    while True:
        step = env.step(fire)
        assert not step.truncated.any()
        if torch.equal(env.seeds, seed):
            lives += int(step.terminated)
            assert torch.equal(step.final.observation, step.turn.observation)
        else:
            assert step.terminated.all()
            assert torch.equal(env.seeds, chance.next_seed(seed))
            assert not torch.equal(step.final.observation, step.turn.observation)
            break
    assert lives == 4  # of five


def test_shrink_is_the_mean_by_area() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (210, 160, 1), dtype=np.uint8)
    small = shrink(frame)[..., 0].astype(float)
    # 210 rows become 84, so two new rows are five old ones; 160 columns become 84, so 21 new ones are 40 old ones.
    old = frame[..., 0].astype(float).reshape(42, 5, 4, 40).mean((1, 3))
    new = small.reshape(42, 2, 4, 21).mean((1, 3))
    assert abs(old - new).max() < 0.5


def test_clear_words_for_what_is_not_there() -> None:
    with pytest.raises(UnknownNameError, match="ALE/Pong-v5"):
        make("ALE/Pongg-v5")
    with pytest.raises(UnknownNameError, match="sticky"):
        make("ALE/Pong-v5?stiky=0")
    with pytest.raises(UsageError, match="outside 0 … 1"):
        make("ALE/Pong-v5?sticky=2")


def test_two_players_of_pong_see_themselves_on_the_same_side() -> None:
    env = make("pettingzoo/atari/pong_v3", 1)
    env.reset(torch.tensor([1]))
    noop, fire, up, down = 0, 1, 2, 3
    for _ in range(30):
        step = env.step(torch.tensor([[up, down]]))
    first, second = step.turn.observation[0, :, -1].int()
    background = first[40, 5]
    rows = [(picture[15:74, 70:80] != background).any(1).nonzero().flatten() + 15 for picture in (first, second)]
    assert rows[0].max() < 30  # who goes up is at the top of what it sees, on the right,
    assert rows[1].min() > 50  # and who goes down at the bottom, on the right, too
    rewards = sum(env.step(torch.tensor([[fire, noop]])).rewards for _ in range(80))
    assert rewards.tolist()[0][0] == -rewards.tolist()[0][1] != 0  # one serves, nobody returns


def test_a_game_that_begins_with_many_idle_frames_is_a_new_one_too() -> None:
    """It may count more frames at its beginning than the one before had at its end."""
    env = make("ALE/Breakout-v5?sticky=0", 8)
    assert isinstance(env, AtariEnv)
    env.reset(torch.arange(8))
    ended = 0
    while not ended:
        seeds = env.seeds
        env._frame = env._frame * 0 - 1
        step = env.step(torch.ones(8, 1, dtype=torch.int64))
        assert torch.equal(env.seeds != seeds, step.terminated | step.truncated)
        ended += int(step.terminated.sum())
    env.close()


@pytest.mark.parametrize(("options", "colours"), [("stack=3", False), ("stack=3&color=true", True)])
def test_a_learners_game_is_drawn_in_its_own_colours(options: str, colours: bool) -> None:
    env = make(f"ALE/Breakout-v5?sticky=0&{options}", 1)
    env.reset(torch.tensor([1]))
    for _ in range(12):
        env.step(torch.tensor([[2]]))
    seen = {style[at : at + 7] for line in env.draw().lines for _, style in line for at in (0, 11)}
    grey = all(colour[1:3] == colour[3:5] == colour[5:7] for colour in seen)
    assert grey is not colours
    env.close()


def test_who_is_out_stays_out_where_a_limit_cuts_the_game() -> None:
    game = AtariPlayers(parse_variant("pettingzoo/atari/warlords_v3"))
    game.reset(1)
    game._alive[2], game._over = False, True
    for alive, shown in ((game._alive, [0, 1, -1, 3]), ([False] * 4, [0, 1, 2, 3])):
        game._alive, player = alive, np.full(4, -1)
        game.observe(np.zeros((4, *game.spec.observation_shape), np.uint8), None, player)
        assert player.tolist() == shown
    game.close()


WITH_A_MATE = ("volleyball_pong_v3", "foozpong_v3")


def test_players_are_told_who_they_are() -> None:
    env = make("pettingzoo/atari/ice_hockey_v2?stack=2", 2)
    seen = env.reset(torch.tensor([1, 2])).observation
    assert seen.shape == (2, 2, 4, 84, 84)
    assert torch.equal(seen[:, 0, :2], seen[:, 1, :2])
    assert seen[:, :, 2:].float().mean((0, 3, 4)).tolist() == [[255, 0], [0, 255]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("game", "one", "another", "word"),
    [
        ("combat_tank_v2", 0, 1, "upright"),
        ("basketball_pong_v3", 0, 1, "right"),
        ("volleyball_pong_v3", 0, 1, "left"),
        ("volleyball_pong_v3", 2, 3, "left"),
        ("foozpong_v3", 0, 1, "right"),
        ("foozpong_v3", 2, 3, "left"),
        *(("warlords_v3", 0, seat, "right") for seat in (1, 2, 3)),
    ],
)
def test_what_one_sees_of_its_own_moves_another_sees_of_its(game: str, one: int, another: int, word: str) -> None:
    """But for the score's digits and columns that the console puts nearer to one side."""

    def seen(seat: int, action: int) -> torch.Tensor:
        env = make(f"pettingzoo/atari/{game}", 1, autoreset=False)
        env.reset(torch.tensor([1]))
        actions = torch.zeros(1, env.spec.num_slots, dtype=torch.int64)
        actions[0, seat] = action
        for _ in range(14):
            step = env.step(actions)
        newest = env.spec.observation_shape[0] - (2 if game in WITH_A_MATE else 0) - 1
        assert (step.turn.observation[0, seat, newest + 1 :] == 255).flatten(1).all(1).tolist() == (
            [seat < 2, seat >= 2] if game in WITH_A_MATE else []
        )
        return step.turn.observation[0, seat, newest].float()

    env = make(f"pettingzoo/atari/{game}", 1)
    own = env.action(word, one)
    wrong = env.action({"left": "right", "right": "left", "upright": "upleft"}[word], one)
    idle, same, other = (
        (seen(one, first) - seen(another, second)).abs().mean() for first, second in ((0, 0), (own, own), (own, wrong))
    )
    assert same <= idle + (0.2 if game == "warlords_v3" else 0.0)  # shields round a corner are some pixels larger above
    assert other > same + 0.05


def test_boxers_see_and_act_alike() -> None:
    """Both walk towards each other by the same actions, and to both that looks the same but for the height."""
    env = make("pettingzoo/atari/boxing_v2", 1)
    assert (env.spec.observation_shape, env.spec.version) == ((4, 84, 84), 2)
    seen = env.reset(torch.tensor([1])).observation[0, :, -1]
    assert torch.equal(seen[0, :, :4], seen[1, :, :4])  # the border
    assert not torch.equal(seen[0], seen[1])
    forward, back = env.action("right", 0), env.action("left", 0)
    assert (env.action("right", 1), env.action("left", 1)) == (back, forward)
    assert env.names(1)[env.action("upleftfire", 1)] == "upleftfire"

    def place(picture: torch.Tensor) -> float:
        """Where in the ring one's own boxer is, the bright one, from the left."""
        return float((picture[20:70] > 180).float().sum(0).nonzero().float().mean())

    before = [place(picture) for picture in seen]
    for _ in range(4):
        seen = env.step(torch.tensor([[forward, forward]])).turn.observation[0, :, -1]
    after = [place(picture) for picture in seen]
    assert before[0] == pytest.approx(before[1], abs=1.5)
    assert after[0] == pytest.approx(after[1], abs=1.5)
    assert after[0] > before[0] + 3
