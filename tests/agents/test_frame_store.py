"""Pictures kept once: what is sampled is what was seen, over resets, several steps, priorities and lost pictures."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from agents import dqn
from agents.buffers import PrioritisedReplay, ReplayBuffer
from agents.configs import DQNConfig
from agents.frame_store import FrameStore
from agents.pending import Pending
from agents.presets import PRESETS
from envs.protocol import Step, Turn, VecEnv
from envs.rendering import Drawing
from envs.specs import GameSpec

SIZE, DEPTH = 6, 3
SPEC = GameSpec(
    game="catch",
    version=1,
    num_players=1,
    num_slots=1,
    num_actions=3,
    observation_shape=(DEPTH, SIZE, SIZE),
    observation_dtype="uint8",
    max_steps=SIZE,
    frames=DEPTH,
    scale=255.0,
)


class Catch(VecEnv):
    """A ball falls, a paddle on the last line catches it: +1 or −1. Every third game is cut short halfway.

    A game's first stack is filled up with its first picture in some slots and with nothing in the others. In slot 0
    halfway is an end for the learner only: the stack goes on through it, as with a lost life.
    """

    def __init__(self, num_envs: int, spec: GameSpec = SPEC, cuts: bool = True) -> None:
        self.spec, self.num_envs, self.device, self.cuts = spec, num_envs, torch.device("cpu"), cuts
        self.generator = torch.Generator()
        self.seeds = torch.zeros(num_envs, dtype=torch.int64)

    def reset(self, seeds: Tensor) -> Turn:
        self.seeds = seeds
        self.generator.manual_seed(int(seeds[0]))
        self.stack = torch.zeros(self.num_envs, DEPTH, SIZE, SIZE, dtype=torch.uint8)
        self.games = torch.arange(self.num_envs)
        self.ball, self.row, self.paddle = (torch.zeros(self.num_envs, dtype=torch.int64) for _ in range(3))
        self._begin(torch.ones(self.num_envs, dtype=torch.bool))
        return self._turn()

    def step(self, action: Tensor) -> Step:
        self.paddle = (self.paddle + action[:, 0] - 1).clamp(0, SIZE - 1)
        self.row += 1
        landed = self.row == SIZE - 1
        caught = torch.where(self.ball == self.paddle, 1.0, -1.0) * landed
        truncated = (self.games % 3 == 2) & (self.row == 3) if self.cuts else torch.zeros_like(landed)
        lost_life = (torch.arange(self.num_envs) == 0) & (self.row == 2) & self.cuts
        self._see()
        final = self._turn()
        self._begin(landed | truncated)
        return Step(caught.unsqueeze(1), landed | lost_life & ~truncated, truncated, final, self._turn())

    def _begin(self, games: Tensor) -> None:
        self.games = torch.where(games, self.games + 7, self.games)
        self.seeds = self.seeds + games
        count = int(games.sum())
        self.ball[games], self.paddle[games] = torch.randint(SIZE, (2, count), generator=self.generator)
        self.row[games] = 0
        self.stack[games] = 0
        if count:
            picture = self._picture()
            full = games & (torch.arange(self.num_envs) % 2 == 1)
            self.stack[full] = picture[full].unsqueeze(1).expand(-1, DEPTH, -1, -1)
            self.stack[games, -1] = picture[games]

    def _picture(self) -> Tensor:
        picture = torch.zeros(self.num_envs, SIZE, SIZE, dtype=torch.uint8)
        slot = torch.arange(self.num_envs)
        picture[slot, SIZE - 1, self.paddle] = 128
        picture[slot, self.row, self.ball] = 255
        return picture

    def _see(self) -> None:
        self.stack = torch.cat([self.stack[:, 1:], self._picture().unsqueeze(1)], 1)

    def _turn(self) -> Turn:
        mask = torch.ones(self.num_envs, 1, 3, dtype=torch.bool)
        return Turn(self.stack.clone().unsqueeze(1), mask, torch.zeros(self.num_envs, 1, dtype=torch.int64))

    def state(self) -> Any:
        return {"seeds": self.seeds}

    def load(self, state: Any) -> Turn:
        return self.reset(state["seeds"])

    def fingerprints(self) -> list[bytes]:
        return [b""] * self.num_envs

    def draw(self, index: int = 0, seat: int | None = None) -> Drawing:
        return Drawing([])


def collect(learner: dqn.Learner, epsilon: float) -> None:
    dqn.act(learner, epsilon)
    dqn.observe(learner)


def learner(config: DQNConfig, frames: int) -> dqn.Learner:
    return dqn.Learner(config, Catch(5, dataclasses.replace(SPEC, frames=frames)), 0, None, None)


@pytest.mark.parametrize("n_steps", [1, 3])
@pytest.mark.parametrize("priority_exponent", [0.0, 0.6])
@pytest.mark.slow
def test_what_is_sampled_is_what_was_seen(n_steps: int, priority_exponent: float) -> None:
    """Beside a memory that keeps whole stacks, long enough for both to be written over several times."""
    config = DQNConfig(
        num_envs=5, buffer_size=97, n_steps=n_steps, priority_exponent=priority_exponent, network="mlp", hidden_size=8
    )
    once, whole = learner(config, DEPTH), learner(config, 1)
    assert once.buffer.frames is not None
    assert whole.buffer.frames is None
    for step in range(150):
        for each in (once, whole):
            collect(each, 0.5)
        assert once.buffer.cursor == whole.buffer.cursor
        if step % 10 == 9:
            once.buffer.sample(8, torch.Generator().manual_seed(step))
            assert once.buffer.size >= 40
            age = torch.arange(1, once.buffer.size + 1)
            index = (once.buffer.cursor - age) % config.buffer_size
            for ours, theirs in zip(once.buffer.at(index), whole.buffer.at(index), strict=True):
                assert torch.equal(ours, theirs)
    assert once.buffer.frames.written > 3 * once.buffer.frames.capacity


def test_pictures_are_kept_once_and_empty_ones_not_at_all() -> None:
    store = FrameStore(SPEC, 100, 2, torch.device("cpu"))
    stack = torch.zeros(2, DEPTH, SIZE, SIZE, dtype=torch.uint8)
    stack[:, -1] = 1
    first = store.keep(stack, torch.arange(2))
    assert (first[:, :2] == 0).all()
    assert store.written == 2
    for picture in range(2, 9):
        stack = torch.cat([stack[:, 1:], torch.full((2, 1, SIZE, SIZE), picture, dtype=torch.uint8)], 1)
        places = store.keep(stack, torch.arange(2))
        assert torch.equal(store.observations(places), stack)
    assert store.written == 16
    assert store.frames[1:17].flatten(1).amax(1).bincount().tolist()[1:] == [2] * 8
    store.keep(stack.flip(1)[:1], torch.tensor([1]))
    assert store.written == 19, "what does not follow is kept whole"


@pytest.mark.parametrize("prioritised", [False, True])
def test_rows_go_with_their_pictures(prioritised: bool) -> None:
    """With fewer pictures than rows need, samples are still what was seen, from the newest rows alone."""
    cpu = torch.device("cpu")
    store = FrameStore(SPEC, 40, 1, cpu)
    buffer = PrioritisedReplay(SPEC, 64, cpu, 0.6, store) if prioritised else ReplayBuffer(SPEC, 64, cpu, store)
    mask = torch.ones(1, 3, dtype=torch.bool)
    observation, before = torch.zeros(1, 1, DEPTH, SIZE, SIZE, dtype=torch.uint8), None
    for number in range(1, 200):
        picture = torch.full((1, 1, 1, SIZE, SIZE), number, dtype=torch.uint8)
        observation = torch.cat([observation[:, :, 1:], picture], 2)
        kept = buffer.keep(observation)[:, 0]
        if before is not None:
            action = torch.tensor([number])
            buffer.add(dqn.Transitions(before, action, torch.zeros(1), kept, mask, torch.ones(1)))
        before = kept
    rows = buffer.sample(500, torch.Generator().manual_seed(0)).rows
    assert len(buffer) == 40 - DEPTH
    assert rows.action.min() == 199 - len(buffer) + 1
    assert torch.equal(rows.next_observation[:, -1, 0, 0].long(), rows.action)
    assert torch.equal(rows.observation[:, 0, 0, 0].long(), rows.action - DEPTH)


def test_a_memory_that_was_kept_and_loaded_is_the_same() -> None:
    config = DQNConfig(num_envs=5, buffer_size=50, network="mlp", hidden_size=8, priority_exponent=0.6)
    one, other = learner(config, DEPTH), learner(config, DEPTH)
    for _ in range(40):
        collect(one, 0.5)
    tensors, meta = one.buffer.state()
    other.buffer.load({name: tensor.clone() for name, tensor in tensors.items()}, meta)
    for each in (one, other):
        each.generator.manual_seed(1)
    for _ in range(20):
        rows = [each.buffer.sample(16, each.generator).rows for each in (one, other)]
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(*rows, strict=True))
        stack = torch.randint(256, (5, 1, DEPTH, SIZE, SIZE), dtype=torch.uint8)
        assert torch.equal(one.buffer.keep(stack), other.buffer.keep(stack))


def test_a_million_transitions_of_atari_fit_into_eight_gibibytes() -> None:
    """Counted, not allocated."""
    preset = PRESETS["dqn"]["ALE/"]
    spec = dataclasses.replace(SPEC, observation_shape=(4, 84, 84), frames=4, num_actions=18)
    config = DQNConfig(
        **{k: v for k, v in preset.items() if k in DQNConfig.__dataclass_fields__} | {"buffer_size": 1_000_000}
    )
    with torch.device("meta"):
        memory = dqn.make_memory(spec, config, 8, torch.device("meta"))
    assert memory.frames is not None
    tensors = [*memory.rows, memory.frames.frames, memory.oldest]
    assert sum(tensor.nelement() * tensor.element_size() for tensor in tensors) < 7.4e9 < 8 * 2**30
    assert memory.rows.observation.shape == (1_000_000, 4)


@pytest.mark.slow
def test_dqn_learns_to_catch_from_pictures() -> None:
    config = DQNConfig(
        num_envs=16, buffer_size=4000, network="mlp", hidden_size=64, hidden_layers=1, activation="relu",
        learning_rate=3e-3, train_ratio=0.125, target_update=50, learning_starts=500, exploration_share=0.5,
        batch_size=64, gamma=0.95, report_steps=2000,
    )  # fmt: skip
    env = Catch(16, cuts=False)
    returns = [m.values["charts/episodic_return"] for m in dqn.train(config, env, seed=1, total_steps=10_000)]
    assert returns[0] < -0.3
    assert returns[-1] > 0.7


@pytest.mark.parametrize("exponent", [0.0, 0.6])
def test_what_a_seat_saw_that_has_long_been_out_is_not_learnt_from(exponent: float) -> None:
    """Its last decision waits for the game's end, and its pictures may have been written over by then."""
    spec = dataclasses.replace(SPEC, num_players=2, num_slots=2, num_actions=2, observation_shape=(2, 2, 2), frames=2)
    config = DQNConfig(num_envs=1, n_steps=1, buffer_size=20, priority_exponent=exponent)
    memory = dqn.make_memory(spec, config, 1, torch.device("cpu"))
    assert memory.frames is not None
    pending = Pending(spec, 1, 1, 1.0, memory.rows.observation)
    mask = torch.ones(1, 2, 2, dtype=torch.bool)
    for ply in range(60):
        observation, out = torch.zeros(1, 2, 2, 2, 2, dtype=torch.uint8), ply > 3
        observation[0, 0], observation[0, 1] = 10 + ply, 0 if out else 100 + ply
        turn = Turn(observation, mask, torch.tensor([[0, -1 if out else 1]]))
        kept = memory.keep(observation)
        pending.forget(memory.frames.lost(pending.oldest))
        memory.add(pending.followed_by(turn, kept))
        oldest = memory.frames.oldest(kept.flatten(0, 1)).view(1, 2)
        pending.decided(turn, kept, torch.zeros(1, 2, dtype=torch.int64), turn.player >= 0, oldest)
    rows = memory.at(memory.add(pending.ended(torch.tensor([True]))))
    assert rows.observation[:, -1, 0, 0].tolist() == [69]
