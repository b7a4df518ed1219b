"""The game inside a session: people and agents in turn (`LiveGame`), or a stored episode (`ReplayedGame`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from agents.scripted import scripted_policies
from arena.episodes import Frame, Recorder, decode_actions, frames, scores_of, seats_to_move
from arena.minds import mind_of
from arena.records import Agent, EndReason, Match
from arena.roster import SOLVERS, Contender, resolve
from arena.session_client import Mind, Position, Result
from arena.session_map import draw_map, newest_of_run
from arena.session_start import Start, forget_unfinished, save_unfinished
from arena.standings import score_table, standings
from arena.store import Store
from envs.errors import ArenaError, IllegalActionError, UsageError, some
from envs.gridworld.dynamics import Dynamics, exact_dynamics
from envs.protocol import check_legal
from envs.registry import make
from envs.rendering import Drawing
from envs.specs import parse_variant

SAMPLED_PLIES = 2
"""Where nothing is hidden, learnt agents sample their first plies, so that games vary, then play their likeliest."""
_TIE = 1e-6
USUAL = Start()
_UNWISE = ("random", "first-legal")


class Seat(NamedTuple):
    """Who decides for a seat: a person (no contender) or an agent."""

    agent: Agent
    contender: Contender | None


class LiveGame:
    """One game between people and agents. It is stored, and rated where it counts, at the moment it ends.

    Args:
        seats: an agent's name or {"human": name} for each seat.
        greedy: how learnt agents choose; None: as said at `SAMPLED_PLIES`, and sampling where something is hidden.
        start: a position or a strength other than the usual.

    Raises:
        UsageError: unknown games and agents, a wrong number of seats, actions that cannot be typed.
    """

    def __init__(
        self,
        store: Store,
        game: str,
        seats: Sequence[Any],
        seed: int,
        greedy: bool | None = None,
        start: Start = USUAL,
    ) -> None:
        variant = parse_variant(game)
        self._store = store
        self._env = make(str(variant), autoreset=False)
        self.spec = self._env.spec
        if self.spec.num_actions is None:
            raise UsageError(f"{self.spec.game} has continuous actions, which cannot be typed")
        if len(seats) != self.spec.num_players:
            raise UsageError(f"{self.spec.game} has {self.spec.num_players} seats, not {len(seats)}")
        for name in seats:
            if isinstance(name, str):
                resolve(store, self.spec.game, name, join=False)  # nobody joins a game that cannot be
        self._hides = self.spec.num_players > 1 and (
            bool(variant.all_options().get("fog")) if self.spec.num_slots > 1 else not self.spec.perfect_information
        )
        self._named = list(seats)
        self._mapped: tuple[Dynamics, Contender] | None = None
        self._greedy = greedy
        self._temperature = start.temperature
        self._seed, opening = self._opening(seed, start)
        self._generator = torch.Generator().manual_seed((seed + len(opening)) % 2**63)
        self._episode: int | None = None
        self._result: Result | None = None
        self._rating: dict[str, tuple[float | None, float]] = {}
        self._restart([])
        for actions in opening:
            over = len(actions) != self.spec.num_slots or self._recorder.reasons[0] is not None
            if over or not bool(check_legal(self._turn, torch.tensor([actions])).all()):
                raise UsageError("the steps of this game are none that can be played")
            self._apply(actions)
        for move in start.moves:
            self._open_with(move)
        if self._recorder.reasons[0] is not None:
            raise UsageError("the game would be over before it begins")
        self._begins = 0 if start.actions else len(self._history)
        self._seats = [_seated(store, self.spec.game, seat) for seat in seats]
        self._people = [seat for seat, who in enumerate(self._seats) if who.contender is None]
        different = len({who.agent.id for who in self._seats}) == len(self._seats)
        self._rated = bool(self._people) and different and start.counts

    def position(self) -> Position:
        """The game as it stands, with what the people at this keyboard may know."""
        over = self._result is not None
        to_move = () if over else seats_to_move(self._turn)
        shown = self._people if self._hides else range(self.spec.num_players)
        return Position(
            game=self.spec.game,
            ply=len(self._history),
            drawing=self._drawing(to_move),
            seats=[who.agent.name for who in self._seats],
            to_move=to_move,
            legal={seat: self._legal(seat) for seat in to_move if seat in self._people},
            returns=self._returns(),
            last={s: name for s, name in self._last.items() if s in shown or self.spec.num_slots == 1},
            over=over,
            rated=self._rated,
            result=self._result,
            episode=self._episode,
            rating=self._rating,
            minds={s: mind for s, mind in self._minds.items() if s in shown or over},
            kept=self._keeps and len(self._history) > self._begins and not over,
            mapped=self._mapped[1].name if self._mapped is not None and not over else None,
        )

    def act(self, seat: int, action: int | None, move: str | None) -> None:
        """Take a person's decision; the game goes on when everybody who decides now has decided.

        Raises UsageError and IllegalActionError; the position stands then.
        """
        self._check_to_move(seat)
        if action is None:
            if move is None:
                raise UsageError("act: say which action or which move")
            action = self._env.action(move, seat)
        legal = dict(self._legal(seat))
        if action not in legal:
            name = self._env.names(seat).get(action, str(action))
            raise IllegalActionError(f"{name} is not allowed here; legal: {some(legal.values(), 12)}")
        self._chosen[seat] = action
        if all(s in self._chosen for s in seats_to_move(self._turn) if s in self._people):
            self._play()

    def advance(self) -> Iterator[Position]:
        """The positions that the agents' own moves lead to, until a person decides; none where only agents play."""
        while self._people and self._result is None and not set(seats_to_move(self._turn)) & set(self._people):
            self._play()
            yield self.position()

    def step(self) -> None:
        """Let the agents play one step."""
        self._check_running()
        if set(seats_to_move(self._turn)) & set(self._people):
            raise UsageError("it is a person's turn; act instead")
        self._play()

    def undo(self, seat: int) -> None:
        """Back to the last decision of `seat`, a person; the game no longer counts."""
        self._check_person(seat)
        plies = [ply for ply, (seats, _) in enumerate(self._history) if seat in seats and ply >= self._begins]
        if not plies:
            raise UsageError("there is no move to take back")
        self._rated = False
        self._restart([actions for _, actions in self._history[: plies[-1]]])
        self._keep()

    def resign(self, seat: int) -> None:
        """End the game as a loss of `seat`, a person. Alone nobody wins; then it does not count."""
        self._check_person(seat)
        self._rated = self._rated and self.spec.num_players > 1
        returns = [0.0] * self.spec.num_players
        returns[seat] = -1.0
        self._finish("resigned", scores_of(returns))

    def hint(self, seat: int, name: str | None) -> tuple[str, Mind]:
        """What `name` (None: the strongest known agent) would do in this person's place; the game no longer counts."""
        self._check_to_move(seat)
        adviser = resolve(self._store, self.spec.game, name) if name else self._strongest()
        _, mind, gave_up = self._think(seat, adviser)
        if gave_up:
            raise ArenaError(f"{adviser.name} has no hint: {gave_up}")
        self._rated = False
        self._keep()
        return adviser.name, mind

    def _opening(self, seed: int, start: Start) -> tuple[int, list[list[int]]]:
        """The seed and the steps of a stored position; of any other start its own."""
        if start.episode is None:
            return seed, [list(actions) for actions in start.actions]
        episode = self._store.episode(start.episode)
        if episode.game != self.spec.game or episode.version != self.spec.version:
            raise UsageError(f"episode {start.episode} is of {episode.game}, version {episode.version}")
        if not 0 <= start.ply < episode.length:
            raise UsageError(f"ply {start.ply} of episode {start.episode} is outside 0 … {episode.length - 1}")
        return episode.seed, decode_actions(self.spec, episode)[: start.ply].tolist()

    def _open_with(self, move: str) -> None:
        """Play a typed move of the opening."""
        seats = seats_to_move(self._turn)
        if self._recorder.reasons[0] is not None or len(seats) != 1 or self.spec.num_slots != 1:
            raise UsageError(
                f"{move[:40]!r} cannot open the game: " + ("it is over" if not seats else "all move at once")
            )
        action = self._env.action(move)
        if action not in dict(self._legal(seats[0])):
            raise IllegalActionError(f"{move[:40]!r} is not allowed as move {len(self._history) + 1}")
        self._apply([action])

    @property
    def _keeps(self) -> bool:
        """Whether the game is one that is kept: in turns between two, at the usual strength."""
        two_in_turns = self.spec.num_players == 2 and self.spec.num_slots == 1
        return bool(self._people) and two_in_turns and self._temperature is None

    def _keep(self) -> None:
        """Keep the game as it stands: who comes back goes on."""
        if self._keeps:
            actions = [actions for _, actions in self._history]
            save_unfinished(self._store, self.spec.game, self._named, self._seed, actions, self._rated)

    def show_map(self, on: bool, name: str | None = None) -> None:
        """Draw what an agent (None: the one that plays, else the strongest) thinks of every cell of a gridworld.

        A person who has seen it no longer plays for the table.

        Raises UsageError for games whose states cannot be listed.
        """
        self._mapped = None
        if on:
            dynamics = exact_dynamics(self._env)
            player = self._seats[0].contender
            contender = resolve(self._store, self.spec.game, name) if name else player or self._strongest()
            self._draw_map(dynamics, contender)  # what cannot be drawn changes nothing
            self._mapped = dynamics, contender
            self._rated = self._rated and not self._people

    def _draw_map(self, dynamics: Dynamics, contender: Contender) -> Drawing:
        """The map as the newest agent of the contender's run sees it, and its thoughts of this cell."""
        contender = newest_of_run(self._store, self.spec.game, contender)
        if self._result is None and bool(self._turn.player[0, 0] >= 0):
            self._minds[0] = self._think(0, contender)[1]
        return draw_map(self._env, self._turn, dynamics, contender)

    def _restart(self, actions: Sequence[Sequence[int]]) -> None:
        """Play the game anew from its seed up to these actions."""
        self._turn = self._env.reset(torch.tensor([self._seed]))
        self._recorder = Recorder(self._env)
        self._history: list[tuple[tuple[int, ...], list[int]]] = []
        self._last: dict[int, str] = {}
        self._minds: dict[int, Mind] = {}
        self._chosen: dict[int, int] = {}
        for action in actions:
            self._apply(list(action))

    def _play(self) -> None:
        """One step: what people chose, what agents choose."""
        action = []
        for seat in self._turn.player[0].tolist():
            if seat < 0:
                action.append(0)
            elif seat in self._chosen:
                action.append(self._chosen[seat])
            else:
                contender = self._seats[seat].contender
                assert contender is not None
                choice, self._minds[seat], gave_up = self._think(seat, contender)
                if gave_up:
                    self._recorder.give_up(0, seat, gave_up)
                    self._finish("resigned")
                    return
                action.append(choice)
        self._apply(action)
        reason = self._recorder.reasons[0]
        if reason is not None:
            self._finish(reason)
        else:
            self._keep()

    def _apply(self, action: list[int]) -> None:
        seats, env = self._turn.player[0].tolist(), self._env
        words = {s: env.names(s)[a] for s, a in zip(seats, action, strict=True) if s >= 0}
        played = torch.tensor([action])
        step = env.step(played)
        self._recorder.record(played, step)
        self._turn = step.turn
        self._history.append((tuple(s for s in seats if s >= 0), action))
        self._last |= words
        self._chosen = {}

    def _think(self, seat: int, contender: Contender) -> tuple[int, Mind, str]:
        """The action that an agent chooses in `seat`'s place, what it thinks, and why it gives up ("": it does not)."""
        slot = self._turn.player[0].tolist().index(seat)
        assert self._turn.legal_action_mask is not None
        mask = self._turn.legal_action_mask[:, slot]
        decision = contender.policy(self._turn.observation[:, slot], mask)
        probabilities = decision.probabilities[0].masked_fill(~mask[0], 0.0)
        if not bool(torch.isfinite(probabilities).all()) or float(probabilities.sum()) <= 0:
            raise ArenaError(f"{contender.name} has no move to offer here: its probabilities are broken")
        weights = probabilities
        mind = mind_of(decision, mask[0], self._env.names(seat))
        if self._temperature and not contender.samples:
            weights = (probabilities / probabilities.max()) ** (1 / self._temperature)
        elif self._plays_greedily(contender):
            weights = (probabilities >= probabilities.max() - _TIE).float()
        choice = int(torch.multinomial(weights, 1, generator=self._generator))
        return choice, mind, "" if decision.gave_up is None else decision.gave_up[0]

    def _plays_greedily(self, contender: Contender) -> bool:
        if contender.samples:
            return False
        if self._temperature is not None:
            return True
        if self._greedy is not None:
            return self._greedy
        if self.spec.num_players == 1:
            return True
        return self.spec.perfect_information and len(self._history) >= SAMPLED_PLIES

    def _finish(self, reason: EndReason, scores: Sequence[float | None] | None = None) -> None:
        """Store the game, then say that it is over; `scores` where neither the rules nor the recorder know them."""
        before = self._ratings()
        rules: dict[str, Any] = {"greedy": self._greedy, "opening_plies": self._begins, "seed": self._seed}
        if self._temperature is not None:
            rules["temperature"] = self._temperature
        if self._keeps:
            forget_unfinished(self._store)
        agents = [who.agent.id for who in self._seats]
        episode = self._recorder.episode(0, agents, reason=reason, scores=scores, rated=self._rated)
        match = self._store.add_match(Match(game=self.spec.game, kind="play", rules=rules), [episode])
        self._episode = self._store.episodes(match=match)[0].id
        scores = [player.score for player in episode.players]
        self._result = Result(scores, self._returns(), reason, episode.forfeit)
        after = self._ratings() if self._rated else {}
        for who in self._seats:
            if who.agent.name in after:
                self._rating[who.agent.name] = (before.get(who.agent.name), after[who.agent.name])

    def _ratings(self) -> dict[str, float]:
        """Who has which Elo, as the leaderboard shows it."""
        if self.spec.num_players == 1:
            return {}
        return {row.agent: row.elo for row in standings(self._store, self.spec.game, retired=True)}

    def _strongest(self) -> Contender:
        """A solver where there is one, else the best rated agent, else a search."""
        offered = scripted_policies(self.spec)
        for name in SOLVERS:
            if name in offered:
                return resolve(self._store, self.spec.game, name)
        able = {agent.name for agent in self._store.agents(self.spec.game) if agent.kind != "human"} - {*_UNWISE}
        table = score_table if self.spec.num_players == 1 else standings
        best = next((row.agent for row in table(self._store, self.spec.game) if row.agent in able), None)
        if best is not None:
            return resolve(self._store, self.spec.game, best)
        if "mcts-1000" in offered:
            return resolve(self._store, self.spec.game, "mcts-1000")
        raise UsageError(f"nobody knows {self.spec.game} yet; train an agent and it will give hints")

    def _legal(self, seat: int) -> list[tuple[int, str]]:
        slot = self._turn.player[0].tolist().index(seat)
        assert self._turn.legal_action_mask is not None
        names = self._env.names(seat)
        return [(a, names[a]) for a in self._turn.legal_action_mask[0, slot].nonzero().flatten().tolist()]

    def _drawing(self, to_move: Sequence[int]) -> Drawing:
        if self._mapped is not None and self._result is None:
            return self._draw_map(*self._mapped)
        return self._env.draw(0, self._eyes(to_move))

    def _eyes(self, to_move: Sequence[int]) -> int | None:
        """Whose view is drawn; None: everything, where nothing is hidden or nobody plays."""
        if not self._hides or not self._people:
            return None
        return next((seat for seat in to_move if seat in self._people), self._people[0])

    def _returns(self) -> list[float]:
        return [float(value) for value in self._recorder.returns[0]]

    def _check_running(self) -> None:
        if self._result is not None:
            raise UsageError("the game is over")

    def _check_person(self, seat: int) -> None:
        self._check_running()
        if seat not in self._people:
            raise UsageError(f"seat {seat} is not a person's; a person holds {self._people or 'none'}")

    def _check_to_move(self, seat: int) -> None:
        self._check_person(seat)
        if seat not in seats_to_move(self._turn):
            raise UsageError(f"it is not the turn of seat {seat}")


class ReplayedGame:
    """A stored episode, position by position; positions are re-simulated when they are first asked for, and kept."""

    def __init__(self, store: Store, episode: int) -> None:
        self.episode = store.episode(episode)
        self._names = [store.agent_by_id(player.agent).name for player in self.episode.players]
        self._rest = frames(self.episode)
        self._frames: list[Frame] = [next(self._rest)]
        self._ply = 0

    def seek(self, ply: int) -> None:
        """Go to `ply`; raises UsageError outside the episode, ArenaError where the record cannot be played."""
        if not 0 <= ply <= self.episode.length:
            raise UsageError(f"ply {ply} is outside 0 … {self.episode.length}")
        while len(self._frames) <= ply:
            self._frames.append(next(self._rest))
        self._ply = ply

    def position(self) -> Position:
        frame = self._frames[self._ply]
        last: dict[int, str] = {}
        for passed in self._frames[: self._ply + 1]:
            last |= passed.last
        episode = self.episode
        over = self._ply == episode.length
        players = episode.players
        return Position(
            game=episode.game,
            ply=self._ply,
            drawing=frame.drawing,
            seats=self._names,
            to_move=() if over else frame.to_move,
            returns=[sum(rewards) for rewards in zip(*(f.rewards for f in self._frames[: self._ply + 1]), strict=True)],
            last=last,
            over=over,
            rated=episode.rated,
            result=Result([p.score for p in players], [p.reward for p in players], episode.reason) if over else None,
            episode=episode.id,
            length=episode.length,
        )


def _seated(store: Store, game: str, seat: Any) -> Seat:
    if isinstance(seat, str):
        contender = resolve(store, game, seat)
        return Seat(contender.agent, contender)
    if isinstance(seat, Mapping) and isinstance(seat.get("human"), str):
        return Seat(store.human(game, seat["human"]), None)
    raise UsageError('a seat is an agent\'s name or {"human": name}')
