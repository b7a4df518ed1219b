"""Go with area scoring: captures, suicide and ko as in PettingZoo's go_v5, positional superko as an option.

Every stone knows its chain (the index of one of its points). A chain's liberties are summed over its stones in one
scatter: how often an empty point touches it, the sum of those points' indexes and the sum of their squares. By Cauchy
and Schwarz count · squares = sum² exactly when all are one point, so the three tell which chains have a single liberty
(as in Pgx, Koyamada et al. 2023); packed into one int64 they need one scatter a move. A chain is captured where its
only liberty is played on.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from envs import chance
from envs.boards.drawings import LETTERS, draw_go, go_score
from envs.native import NativeEnv, State
from envs.protocol import Turn
from envs.rendering import Drawing
from envs.specs import GameSpec, Variant

_COUNT, _SUM = 48, 28  # where a packed liberty sum keeps its count and its sum of indexes; the squares are below
_LOW = (1 << _SUM) - 1
_MIDDLE = (1 << (_COUNT - _SUM)) - 1


class Go:
    """State, S points: `board` [N, S] int8, 1 black, -1 white; `chain` [N, S] int64, S where empty; `atari` [N, S]
    bool, stones whose chain has one liberty; `legal` [N, S] bool, for the player to move; `ko`, `last` [N] int64,
    points, -1 for none (`last` S for a pass). With superko also `seen` [N, L] int64, the hashes of the positions so
    far, and `hash` [N]."""

    def __init__(self, size: int, komi: float, superko: bool, max_steps: int, device: torch.device) -> None:
        self.size, self.points, self.komi, self.superko, self.max_steps = size, size * size, komi, superko, max_steps
        index = torch.arange(self.points, device=device)
        self.code = (1 << _COUNT) + (index << _SUM) + index * index
        row, column = index // size, index % size
        around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        inside = [(r >= 0) & (r < size) & (c >= 0) & (c < size) for r, c in around]
        # [S + 1, 4]; off the board, and around a pass, is the point S.
        beside = torch.stack(
            [torch.where(ok, r * size + c, self.points) for ok, (r, c) in zip(inside, around, strict=True)], 1
        )
        self.beside = pad(beside, (0, 0, 0, 1), value=self.points)
        self.zobrist = chance.mix(torch.arange(2 * self.points, device=device) + 1).view(2, self.points)

    def init(self, seeds: Tensor) -> State:
        n, device = len(seeds), seeds.device
        board = torch.zeros(n, self.points, dtype=torch.int8, device=device)
        nowhere = torch.full((n,), -1, device=device)
        state = {
            "board": board,
            "chain": torch.full((n, self.points), self.points, device=device),
            "atari": board.bool(),
            "legal": board == 0,
            "ko": nowhere,
            "last": nowhere,
        }
        if self.superko:
            state["seen"] = torch.zeros(n, self.max_steps + 1, dtype=torch.int64, device=device)
            state["hash"] = torch.zeros(n, dtype=torch.int64, device=device)
        return state

    def step(self, state: State, action: Tensor, seeds: Tensor) -> tuple[State, Tensor, Tensor]:
        point = action  # [N, 1]
        played = (point < self.points).squeeze(1)
        colour = (1 - 2 * (state["ply"] & 1)).to(torch.int8).unsqueeze(1)
        beside = self.beside[point.squeeze(1)]  # [N, 4]
        stones = pad(state["board"], (0, 1)).gather(1, beside)
        chains = pad(state["chain"], (0, 1), value=self.points).gather(1, beside)
        atari = pad(state["atari"], (0, 1)).gather(1, beside)

        doomed = torch.where((stones == -colour) & atari, chains, -1)
        joined = torch.where(stones == colour, chains, -1)
        captured = _among(state["chain"], doomed)
        here = torch.arange(self.points, device=point.device) == point
        board = torch.where(here, colour, state["board"]).masked_fill(captured, 0)
        chain = torch.where(here | _among(state["chain"], joined), point, state["chain"])
        chain = chain.masked_fill(captured, self.points)

        walled = ((stones == -colour) | (beside == self.points)).all(1)
        single = (captured.sum(1) == 1) & walled & played
        ko = torch.where(single, captured.to(torch.int8).argmax(1), -1)
        last = point.squeeze(1)
        over = ~played & (state["last"] == self.points)
        new = {"board": board, "chain": chain, "ko": ko, "last": last}
        new["atari"], new["legal"] = self.liberties(board, chain, -colour, ko)
        if self.superko:
            # A pass repeats the position and is never forbidden.
            new["hash"] = self.hash_of(board)
            ply = state["ply"].unsqueeze(1) + 1
            new["seen"] = state["seen"].scatter(1, ply.clamp(max=self.max_steps), new["hash"].unsqueeze(1))
            new["legal"] = new["legal"] & ~self.repeats(new, -colour)
        return new, self.rewards(board, over), over

    def liberties(self, board: Tensor, chain: Tensor, mover: Tensor, ko: Tensor) -> tuple[Tensor, Tensor]:
        """(atari [N, S], legal [N, S]) of the position for `mover` [N, 1]."""
        empty = board == 0
        near = self._sum_beside(empty * self.code)
        totals = torch.zeros(len(board), self.points + 1, dtype=torch.int64, device=board.device)
        liberties = totals.scatter_add_(1, chain, near).gather(1, chain)
        total = (liberties >> _SUM) & _MIDDLE
        atari = ((liberties >> _COUNT) * (liberties & _LOW) == total * total) & ~empty
        breathes = empty | ((board == mover) ^ atari) & ~empty
        legal = empty & self._any_beside(breathes)
        legal &= torch.arange(self.points, device=board.device) != ko.unsqueeze(1)
        return atari, legal

    def _shifted(self, plane: Tensor) -> tuple[Tensor, ...]:
        """The four neighbours' values, zero off the board: plane [N, S] → 4 × [N, size, size]."""
        p = pad(plane.view(-1, self.size, self.size), (1, 1, 1, 1))
        return p[:, :-2, 1:-1], p[:, 2:, 1:-1], p[:, 1:-1, :-2], p[:, 1:-1, 2:]

    def _sum_beside(self, plane: Tensor) -> Tensor:
        up, down, left, right = self._shifted(plane)
        return (up + down + left + right).flatten(1)

    def _any_beside(self, plane: Tensor) -> Tensor:
        up, down, left, right = self._shifted(plane)
        return (up | down | left | right).flatten(1)

    def hash_of(self, board: Tensor) -> Tensor:
        """[N]: the sum of a random number per stone, wrapping; 0 for the empty board."""
        return torch.where(board == 1, self.zobrist[0], 0).sum(1) + torch.where(board == -1, self.zobrist[1], 0).sum(1)

    def repeats(self, state: State, mover: Tensor) -> Tensor:
        """[N, S] bool: where a stone of `mover` [N, 1] would bring back a position of `state["seen"]`."""
        black = mover == 1
        own, other = (torch.where(black, self.zobrist[i], self.zobrist[1 - i]) for i in (0, 1))
        stones = torch.where(state["board"] == -mover, other, 0)
        totals = torch.zeros(len(stones), self.points + 1, dtype=torch.int64, device=stones.device)
        totals.scatter_add_(1, state["chain"], stones)
        caught = (state["board"] == -mover) & state["atari"]
        # Per point, the chains in atari beside it, each counted once.
        chains = pad(torch.where(caught, state["chain"], self.points), (0, 1), value=self.points)[:, self.beside[:-1]]
        totals[:, self.points] = 0
        after = state["hash"].unsqueeze(1) + own
        for i in range(4):
            again = torch.zeros_like(chains[..., i], dtype=torch.bool)
            for j in range(i):
                again |= chains[..., i] == chains[..., j]
            after = after - totals.gather(1, chains[..., i]).masked_fill(again, 0)
        # Positions not reached yet count as the empty board, which has been seen.
        seen = state["seen"].sort(1).values
        place = torch.searchsorted(seen, after).clamp(max=seen.shape[1] - 1)
        return seen.gather(1, place) == after

    def rewards(self, board: Tensor, over: Tensor) -> Tensor:
        """[N, 2]: who has the larger area where the game is over; equal areas (whole komi) draw."""
        rewards = torch.zeros(len(board), 2, device=board.device)
        index = over.nonzero().squeeze(1)
        if len(index):
            sign = (self.area(board[index]) - self.komi).sign()
            rewards[index] = torch.stack([sign, -sign], 1)
        return rewards

    def area(self, board: Tensor) -> Tensor:
        """[N] float32: black's area minus white's."""
        black, white = self.areas(board)
        return (black - white).float()

    def areas(self, board: Tensor) -> tuple[Tensor, Tensor]:
        """([N], [N]) int64: black's stones and empty points that only black reaches, and white's."""
        empty = board == 0
        black, white = board == 1, board == -1
        while True:
            wider = [colour | (empty & self._any_beside(colour)) for colour in (black, white)]
            if torch.equal(wider[0], black) and torch.equal(wider[1], white):
                return (black & ~white).sum(1), (white & ~black).sum(1)
            black, white = wider

    def observe(self, state: State) -> Turn:
        colour = (1 - 2 * (state["ply"] & 1)).to(torch.int8).unsqueeze(1)
        board, legal = state["board"], state["legal"]
        last = torch.arange(self.points, device=board.device) == state["last"].unsqueeze(1)
        black = (colour == 1).expand_as(last)
        planes = torch.stack([board == colour, board == -colour, legal, last, black], 1).to(torch.uint8)
        return Turn(
            planes.view(-1, 1, 5, self.size, self.size),
            pad(legal, (0, 1), value=True).unsqueeze(1),
            (state["ply"] & 1).unsqueeze(1),
        )

    def restore(self, observation: Tensor) -> State:
        """Positions that are seen as observation [B, 5, size, size]; superko remembers none of those before."""
        own, other, legal, last, black = observation.flatten(2).unbind(1)
        colour = 2 * black[:, :1].to(torch.int8) - 1
        board = (own.to(torch.int8) - other.to(torch.int8)) * colour
        ply = (1 - black[:, 0]).long()
        # Nothing marked as the last move: a pass, or the very start.
        moved = last.bool().any(1)
        start = ~(board != 0).any(1) & (ply == 0)
        point = torch.where(moved, last.to(torch.int8).argmax(1), torch.where(start, -1, self.points))
        chain = self.chains(board)
        atari, _ = self.liberties(board, chain, colour, torch.full_like(ply, -1))
        nowhere = torch.full_like(ply, -1)
        state = {"board": board, "chain": chain, "atari": atari, "legal": legal.bool(), "ko": nowhere, "last": point}
        if self.superko:
            state["hash"] = self.hash_of(board)
            seen = torch.zeros(len(ply), self.max_steps + 1, dtype=torch.int64, device=ply.device)
            state["seen"] = seen.scatter(1, ply.unsqueeze(1), state["hash"].unsqueeze(1))
        return {**state, "ply": ply}

    def chains(self, board: Tensor) -> Tensor:
        """[N, S]: of every stone of board [N, S] the lowest point of its chain; S where empty."""
        index = torch.arange(self.points, device=board.device)
        chain = torch.where(board != 0, index, self.points)
        stones = pad(board, (0, 1))[:, self.beside[:-1]]  # [N, S, 4]
        friends = (stones == board.unsqueeze(-1)) & (board != 0).unsqueeze(-1)
        while True:
            around = pad(chain, (0, 1), value=self.points)[:, self.beside[:-1]]
            wider = torch.minimum(chain, torch.where(friends, around, self.points).amin(-1))
            if torch.equal(wider, chain):
                return chain
            chain = wider

    def draw(self, state: State, index: int, seat: int | None) -> Drawing:
        over = bool(state["over"][index])
        legal = [point for point in range(self.points) if state["legal"][index, point]]
        score = self.score(state["board"][index : index + 1], over)
        ply, last = int(state["ply"][index]), int(state["last"][index])
        return draw_go(state["board"][index].tolist(), legal, over, ply, last, score)

    def score(self, board: Tensor, over: bool) -> str:
        """Both areas of board [1, S] and komi in words, at the end who is ahead."""
        black, white = (int(area) for area in self.areas(board))
        return go_score(black, white, self.komi, over)


def _among(chain: Tensor, ids: Tensor) -> Tensor:
    """[N, S] bool: whether each stone's chain is one of the four `ids` [N, 4]."""
    a, b, c, d = (chain == ids[:, i : i + 1] for i in range(4))
    return a | b | c | d


def make(variant: Variant, num_envs: int, device: torch.device, autoreset: bool) -> NativeEnv:
    options = variant.all_options()
    size, komi, superko = int(options["size"]), float(options["komi"]), bool(options["superko"])
    names = [f"{LETTERS[point % size]}{size - point // size}" for point in range(size * size)]
    max_steps = 8 * size * size
    spec = GameSpec(
        game=str(variant),
        version=variant.game.version,
        num_players=2,
        num_slots=1,
        num_actions=size * size + 1,
        observation_shape=(5, size, size),
        observation_dtype="uint8",
        action_names=(*names, "pass"),
        zero_sum=True,
        perfect_information=True,
        max_steps=max_steps,
        opening_plies=4,
    )
    return NativeEnv(spec, Go(size, komi, superko, max_steps, device), num_envs, device, autoreset)
