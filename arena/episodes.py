"""Episodes: record a game while it is played, re-simulate it, verify its hash chain, step through it, write it as text.

An episode is seed + actions + a chain of 8-byte blake2b digests, one for the start and one a step:
h₀ = H(game, version, seed, fingerprint₀), hₜ = H(hₜ₋₁, actionsₜ, rewardsₜ, flagsₜ, fingerprintₜ). Numbers are
little-endian: actions as `action_dtype` says, rewards float32 per seat, flags one byte (1 terminated, 2 truncated).
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.policy import RESIGNED
from arena.episode_states import STATE_STEPS, Place, keep, usable
from arena.records import EndReason, Episode, EpisodePlayer, EpisodeState
from envs.errors import ArenaError, IllegalActionError
from envs.protocol import Step, Turn, VecEnv, check_legal
from envs.registry import make
from envs.rendering import Drawing
from envs.specs import GameSpec

if TYPE_CHECKING:
    from arena.store import Store

DIGEST_SIZE = 8
MAX_FORFEIT = 300
VERIFY_BATCH = 256
"""Games that `verify` re-simulates side by side."""
PAGE = 4 * VERIFY_BATCH
"""Episodes that are read at once where all of a league are."""


def action_dtype(spec: GameSpec) -> np.dtype[Any]:
    """How one action is stored: uint8 where A ≤ 256, else uint16; float32 where actions are continuous."""
    if spec.num_actions is None:
        return np.dtype("<f4")
    return np.dtype("u1") if spec.num_actions <= 256 else np.dtype("<u2")


def encode_actions(spec: GameSpec, actions: Tensor) -> np.ndarray[Any, Any]:
    """Actions [N, K] or [N, K, D] as they are stored, on the host."""
    return actions.cpu().numpy().astype(action_dtype(spec))


def decode_actions(spec: GameSpec, episode: Episode) -> Tensor:
    """The actions of an episode, [T, K] int64 (or [T, K, D] float32).

    Raises ArenaError where the bytes do not fit the length.
    """
    shape = (episode.length, spec.num_slots, *(spec.action_shape if spec.num_actions is None else ()))
    dtype = action_dtype(spec)
    wanted = int(np.prod(shape)) * dtype.itemsize
    if len(episode.actions) != wanted:
        raise ArenaError(f"actions: {len(episode.actions)} bytes, but {episode.length} steps have {wanted}")
    values = np.frombuffer(episode.actions, dtype).reshape(shape)
    return torch.from_numpy(values.astype(np.float32 if spec.num_actions is None else np.int64))


def scores_of(returns: Sequence[float]) -> list[float | None]:
    """Each seat's score: the mean of 1, ½ or 0 against every other seat by return; None in one-player games."""
    if len(returns) == 1:
        return [None]
    return [
        sum(1.0 if own > other else 0.5 if own == other else 0.0 for j, other in enumerate(returns) if j != i)
        / (len(returns) - 1)
        for i, own in enumerate(returns)
    ]


class Recorder:
    """Records N games while an env made with `autoreset=False` plays them; a game's record ends where the game does.

    Make it right after `env.reset`, call `record` right after every `env.step`.

    Attributes:
        returns: [N, P] float64, the rewards so far.
        lengths: [N], steps so far.
        reasons: per game, None while it is being played.
    """

    def __init__(self, env: VecEnv) -> None:
        self._env = env
        spec = env.spec
        self.returns = np.zeros((env.num_envs, spec.num_players))
        self.lengths = [0] * env.num_envs
        self.reasons: list[EndReason | None] = [None] * env.num_envs
        self.seeds: list[int] = env.seeds.tolist()
        self._actions = [bytearray() for _ in range(env.num_envs)]
        self._head = [
            _first_digest(spec, seed, state) for seed, state in zip(self.seeds, env.fingerprints(), strict=True)
        ]
        self._chains = [bytearray(head) for head in self._head]
        self._beginnings = [env.packed(index) for index in range(env.num_envs)]
        self._states: list[list[EpisodeState]] = [[] for _ in range(env.num_envs)]
        self._gave_up: dict[int, tuple[int, str]] = {}

    @property
    def over(self) -> bool:
        """Whether every game has ended."""
        return None not in self.reasons

    def record(self, action: Tensor, step: Step, games: Iterable[int] | None = None) -> None:
        """Add the step that `action` [N, K] (or [N, K, D]) led to.

        `games` says to whose records (None: all); a game that has ended gets no more steps.
        """
        actions = encode_actions(self._env.spec, action)
        rewards = step.rewards.cpu().numpy().astype("<f4")
        flags = (step.terminated.to(torch.uint8) + 2 * step.truncated.to(torch.uint8)).tolist()
        fingerprints = self._env.fingerprints()
        for index in range(len(fingerprints)) if games is None else games:
            if self.reasons[index] is not None:
                continue
            self.returns[index] += rewards[index]
            played = actions[index].tobytes()
            self._head[index] = _next_digest(
                self._head[index], played, rewards[index].tobytes(), flags[index], fingerprints[index]
            )
            self._actions[index] += played
            self._chains[index] += self._head[index]
            self.lengths[index] += 1
            if flags[index]:
                self.reasons[index] = "terminated" if flags[index] & 1 else "truncated"
            elif self.lengths[index] % STATE_STEPS == 0:
                self._keep_state(index)

    def _keep_state(self, index: int) -> None:
        beginning, state = self._beginnings[index], self._env.packed(index)
        if beginning is not None and state is not None:
            returns = [float(value) for value in self.returns[index]]
            kept = keep(self.lengths[index], returns, state, beginning)
            self._states[index] += [] if kept is None else [kept]

    def give_up(self, index: int, seat: int, why: str) -> None:
        """End game `index` as lost by `seat`: `why` is RESIGNED, or what it did in place of a move."""
        self.reasons[index] = "resigned"
        self._gave_up[index] = (seat, why if why == RESIGNED else f"{why} (step {self.lengths[index] + 1})")

    def actions(self, index: int) -> bytes:
        """Game `index`'s actions so far, as they are stored."""
        return bytes(self._actions[index])

    def chain(self, index: int) -> bytes:
        """Game `index`'s digests so far: 8 · (length + 1) bytes."""
        return bytes(self._chains[index])

    def states(self, index: int) -> tuple[EpisodeState, ...]:
        """Game `index`'s states at intervals, but for one where it stands."""
        return tuple(state for state in self._states[index] if state.ply < self.lengths[index])

    def places(self, index: int, episode: Episode) -> tuple[dict[int, Place], dict[int, Place]]:
        """The states of game `index`, and those that are stored with the episode."""
        beginning = self._beginnings[index] or b""
        mine, stored = (
            usable(self._env.spec, episode, states, beginning) for states in (self.states(index), episode.states)
        )
        return mine, stored

    def episode(
        self,
        index: int,
        agents: Sequence[int],
        *,
        reason: EndReason | None = None,
        scores: Sequence[float | None] | None = None,
        pair: int = 0,
        leg: int = 0,
        opening_plies: int = 0,
        rated: bool = True,
    ) -> Episode:
        """Game `index` as a row; `agents` are the ids by seat.

        `reason` (and `scores`) are given where neither the rules nor `give_up` ended the game: a cap on the steps.
        """
        reason = reason or self.reasons[index]
        assert reason is not None, "the game is still being played"
        returns = [float(value) for value in self.returns[index]]
        spec = self._env.spec
        loser, why = self._gave_up.get(index, (None, RESIGNED))
        if loser is not None:
            scores = scores_of([-1.0 if seat == loser else 0.0 for seat in range(spec.num_players)])
        scores = scores_of(returns) if scores is None else scores
        return Episode(
            game=spec.game,
            version=spec.version,
            seed=self.seeds[index],
            length=self.lengths[index],
            actions=self.actions(index),
            chain=self.chain(index),
            reason=reason,
            players=tuple(
                EpisodePlayer(agent=agent, reward=reward, score=score, seat=seat)
                for seat, (agent, reward, score) in enumerate(zip(agents, returns, scores, strict=True))
            ),
            pair=pair,
            leg=leg,
            opening_plies=opening_plies,
            rated=rated,
            forfeit=None if why == RESIGNED else why[:MAX_FORFEIT],
            backend=spec.backend,
            states=self.states(index),
        )


def _first_digest(spec: GameSpec, seed: int, fingerprint: bytes) -> bytes:
    head = f"{spec.game}\n{spec.version}\n{seed}\n".encode()
    return blake2b(head + fingerprint, digest_size=DIGEST_SIZE).digest()


def _next_digest(previous: bytes, actions: bytes, rewards: bytes, flags: int, fingerprint: bytes) -> bytes:
    return blake2b(previous + actions + rewards + bytes((flags,)) + fingerprint, digest_size=DIGEST_SIZE).digest()


@dataclass(frozen=True)
class Verification:
    """What re-simulating an episode showed. `step` is the first that differs: 1 is the first action's, 0 the start."""

    episode: int
    ok: bool
    step: int | None = None
    problem: str = ""


def verify(store: Store, ids: Iterable[int] | None = None) -> Iterator[Verification]:
    """Re-simulate episodes (all of them where `ids` is None) and compare actions, chain, returns, scores and outcome.

    Yields one result an episode; games of one variant are re-simulated side by side, so the order is not that of `ids`.
    """
    waiting: dict[str, list[Episode]] = {}
    for episode in _every(store) if ids is None else map(store.episode, ids):
        batch = waiting.setdefault(episode.game, [])
        batch.append(store.with_states(episode))
        if len(batch) == VERIFY_BATCH:
            yield from verify_batch(waiting.pop(episode.game))
    for batch in waiting.values():
        yield from verify_batch(batch)


def _every(store: Store) -> Iterator[Episode]:
    """All episodes, newest first, a page of them in memory at a time."""
    before: int | None = None
    while page := store.episodes(limit=PAGE, before=before):
        yield from page
        before = page[-1].id


def verify_batch(episodes: Sequence[Episode]) -> list[Verification]:
    """The verdicts on episodes of one variant, in their order."""
    verdicts: dict[int, Verification] = {}
    sound: list[Episode] = []
    try:
        spec = make(episodes[0].game).spec
        for episode in episodes:
            problem = malformed(spec, episode)
            if problem:
                verdicts[episode.id] = Verification(episode.id, False, None, problem)
            else:
                sound.append(episode)
        if sound:
            verdicts |= {verdict.episode: verdict for verdict in _resimulate(sound)}
    except Exception as error:  # what a stored game or action makes another library raise is a verdict, not a crash
        if len(episodes) > 1:
            return [verify_batch([episode])[0] for episode in episodes]
        return [Verification(episodes[0].id, False, None, f"cannot be re-simulated: {error}")]
    return [verdicts[episode.id] for episode in episodes]


def malformed(spec: GameSpec, episode: Episode) -> str:
    """What keeps a row from being re-simulated at all, or ""."""
    if episode.version != spec.version:
        return f"recorded under version {episode.version} of {spec.game}, whose rules are now version {spec.version}"
    if episode.game != spec.game:
        return f"the game's name is {spec.game}, not {episode.game}"
    if len(episode.chain) != DIGEST_SIZE * (episode.length + 1):
        return (
            f"chain: {len(episode.chain)} bytes, but {episode.length} steps have {DIGEST_SIZE * (episode.length + 1)}"
        )
    if len(episode.players) != spec.num_players:
        return f"{len(episode.players)} players in a game of {spec.num_players}"
    if episode.opening_plies > episode.length:
        return f"an opening of {episode.opening_plies} plies in a game of {episode.length}"
    try:
        decode_actions(spec, episode)
    except ArenaError as error:
        return str(error)
    return ""


def _resimulate(episodes: Sequence[Episode]) -> list[Verification]:
    with contextlib.closing(make(episodes[0].game, len(episodes), autoreset=False)) as env:
        spec = env.spec
        found: list[list[tuple[int, str]]] = [[] for _ in episodes]
        actions = torch.nn.utils.rnn.pad_sequence([decode_actions(spec, episode) for episode in episodes])
        env.attend("states")
        turn = env.reset(torch.tensor([episode.seed for episode in episodes]))
        recorder = Recorder(env)
        for ply in range(len(actions)):
            running = [index for index, episode in enumerate(episodes) if ply < episode.length]
            action = actions[ply].to(env.device)
            if turn.legal_action_mask is not None:
                legal = check_legal(turn, action)
                for index, slot in (~legal).nonzero().tolist():
                    if ply < episodes[index].length:
                        found[index].append((ply + 1, f"action {int(action[index, slot])} is not legal there"))
                action = torch.where(legal, action, turn.legal_action_mask.to(torch.uint8).argmax(-1))
            for index in running:
                if recorder.reasons[index] is not None:
                    found[index].append((ply + 1, f"the game had ended with step {recorder.lengths[index]}"))
            step = env.step(action)
            turn = step.turn
            recorder.record(action, step, running)
    verdicts = []
    for index, episode in enumerate(episodes):
        problems = (
            found[index]
            + _chain_problems(recorder.chain(index), episode)
            + _outcome_problems(recorder, index, episode)
            + _state_problems(recorder, index, episode)
        )
        if problems:
            at, problem = min(problems, key=lambda p: p[0])
            verdicts.append(Verification(episode.id, False, at, f"step {at}: {problem}{_elsewhere(spec, episode)}"))
        else:
            verdicts.append(Verification(episode.id, True))
    return verdicts


def _elsewhere(spec: GameSpec, episode: Episode) -> str:
    """Where the game was played by another package or ROM than is here: both."""
    if episode.backend is None or episode.backend == spec.backend:
        return ""
    return f"; it was played by {episode.backend or 'Arena'}, here is {spec.backend or 'Arena'}"


def _chain_problems(chain: bytes, episode: Episode) -> list[tuple[int, str]]:
    """The first digest of a re-simulated chain that the recorded one does not have."""
    ours = [chain[i : i + DIGEST_SIZE] for i in range(0, len(chain), DIGEST_SIZE)]
    theirs = [episode.chain[i : i + DIGEST_SIZE] for i in range(0, len(episode.chain), DIGEST_SIZE)]
    differing = [step for step, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]]
    if not differing:
        return []
    first = differing[0]
    if len(differing) == 1 and first < len(theirs) - 1:
        return [(first, "its hash was changed: the later ones agree with the re-simulation")]
    what = "game, seed or starting position" if first == 0 else "action, rewards or position"
    return [(first, f"{what} differ from the recorded hash")]


def _outcome_problems(recorder: Recorder, index: int, episode: Episode) -> list[tuple[int, str]]:
    """Where the stored reason, returns and scores are not those of the re-simulated game; named at the last step."""
    end = episode.length
    reason = recorder.reasons[index]
    returns = [float(value) for value in recorder.returns[index]]
    problems = []
    if reason is None and episode.reason == "terminated":
        problems.append((end, "the game is not over there"))
    elif reason is not None and reason != episode.reason:
        problems.append((end, f"the game was {reason} there, not {episode.reason}"))
    for player, reward, score in zip(episode.players, returns, scores_of(returns), strict=True):
        if player.reward != reward:
            problems.append((end, f"seat {player.seat}'s return is {reward:g}, not the stored {player.reward!r}"))
        if episode.reason != "resigned" and player.score != score:
            problems.append((end, f"seat {player.seat}'s score is {score}, not the stored {player.score}"))
    return problems


def _state_problems(recorder: Recorder, index: int, episode: Episode) -> list[tuple[int, str]]:
    """The first stored state that is not the re-simulated game's."""
    played, stored = recorder.places(index, episode)
    wrong = [ply for ply, place in stored.items() if played.get(ply) != place]
    return [(min(wrong), "its stored state is not that of the game there")] if wrong else []


def as_recorded(episode: Episode, ply: int, step: Step, fingerprint: bytes) -> bool:
    """Whether the step of an env of one game that led to position `ply` has the recorded hash."""
    chain = [episode.chain[i * DIGEST_SIZE : (i + 1) * DIGEST_SIZE] for i in (ply - 1, ply)]
    size = len(episode.actions) // episode.length
    flags = int(step.terminated[0]) + 2 * int(step.truncated[0])
    rewards = step.rewards[0].cpu().numpy().astype("<f4").tobytes()
    return (
        _next_digest(chain[0], episode.actions[(ply - 1) * size : ply * size], rewards, flags, fingerprint) == chain[1]
    )


class Frame(NamedTuple):
    """One position of a replay, after `ply` steps. `last` is what each seat just did, in a person's words."""

    ply: int
    drawing: Drawing
    to_move: tuple[int, ...]
    last: dict[int, str]
    rewards: tuple[float, ...]


def frames(episode: Episode, seat: int | None = None, drawn: Container[int] | None = None) -> Iterator[Frame]:
    """The episode position by position, from the start to the end, as `seat` may know it (None: everything).

    Args:
        drawn: at which plies the game is drawn, which takes longer than a step (None: at all); elsewhere the drawing
            has no lines.

    Raises ArenaError where the record cannot be played (`verify` says more).
    """

    def drawing(ply: int) -> Drawing:
        return env.draw(0, seat) if drawn is None or ply in drawn else Drawing([])

    with contextlib.closing(make(episode.game, autoreset=False)) as env:
        problem = malformed(env.spec, episode)
        if problem:
            raise ArenaError(f"episode {episode.id}: {problem}")
        env.attend("states")
        turn = env.reset(torch.tensor([episode.seed]))
        yield Frame(0, drawing(0), seats_to_move(turn), {}, (0.0,) * env.spec.num_players)
        for ply, action in enumerate(decode_actions(env.spec, episode), 1):
            if turn.legal_action_mask is not None and not bool(check_legal(turn, action.unsqueeze(0)).all()):
                raise IllegalActionError(
                    f"episode {episode.id}, step {ply}: action {action.tolist()} is not legal there"
                    f"{_elsewhere(env.spec, episode)}"
                )
            playing = [(s, a) for s, a in zip(turn.player[0].tolist(), action.tolist(), strict=True) if s >= 0]
            last = {s: names[a] if (names := env.names(s)) else str(a) for s, a in playing}
            step = env.step(action.unsqueeze(0))
            turn = step.turn
            yield Frame(ply, drawing(ply), seats_to_move(turn), last, tuple(step.rewards[0].tolist()))


def seats_to_move(turn: Turn, index: int = 0) -> tuple[int, ...]:
    """The seats that decide now in game `index`."""
    return tuple(s for s in turn.player[index].tolist() if s >= 0)


def as_text(episode: Episode, names: Sequence[str]) -> str:
    """The episode for people: who, every move, the last position, the outcome. `names` are the agents' by seat."""
    moves: list[str] = []
    frame = None
    for frame in frames(episode, drawn=(episode.length,)):
        if frame.last:
            word = "+".join(frame.last.values())
            moves.append(f"({word})" if frame.ply <= episode.opening_plies else word)
    assert frame is not None
    how = episode.reason if episode.forfeit is None else f"forfeit ({ascii(episode.forfeit)[1:-1]})"
    pairs = list(zip(names, episode.players, strict=True))
    outcome = "return: " + ", ".join(f"{name} {player.reward:g}" for name, player in pairs)
    if len(pairs) > 1:  # who resigns loses, whatever the rewards so far
        outcome += " · score: " + ", ".join(
            f"{name} {player.score:g}" for name, player in pairs if player.score is not None
        )
    return "\n".join(
        [
            f"episode {episode.id} · {episode.game} · seed {episode.seed} · {' – '.join(names)}",
            f"moves: {' '.join(moves) or 'none'}",
            frame.drawing.text(),
            f"{how} after {episode.length} steps · {outcome}",
        ]
    )
