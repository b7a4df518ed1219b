"""`arena replay`: every game played, exactly."""

from __future__ import annotations

import functools
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arena.checkpoints import write_file
from arena.cli.options import DEFAULT_DB, Db, Json, SomeGame, canonical, group
from arena.cli.output import clean, drawing_text, print_json, print_table, say, when
from arena.formats import FORMATS, Recorded, find_format, write
from arena.records import Episode, ending
from arena.replay_search import HELP as SEARCH_HELP
from arena.replay_search import parse_search
from arena.store import Store
from envs.errors import UsageError

if TYPE_CHECKING:
    from arena.episodes import Frame

DRAWN_AROUND = 50
"""Positions before and after the one that is looked at which are drawn with it."""

app = group("The games that were played: list, step through, verify, export.")

EpisodeNumber = Annotated[
    int, typer.Argument(metavar="EPISODE", help="An episode's number, as `arena replay list` shows it.")
]


@app.command("list")
def list_episodes(
    game: SomeGame = None,
    agent: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only episodes in which this agent played (needs GAME).")
    ] = None,
    match: Annotated[int | None, typer.Option(metavar="N", min=1, help="Only the episodes of this match.")] = None,
    search: Annotated[str, typer.Option(metavar="WORDS", help=f"Only those that fit: {SEARCH_HELP}.")] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many, the newest first.")] = 20,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """List the recorded episodes, newest first.

    \b
    Example:
      arena replay list connect_four --limit 5
      arena replay list --search "ann won >20"
    """
    words = parse_search(search)
    if agent is not None and game is None:
        raise UsageError("--agent needs the game before it: arena replay list GAME --agent NAME")
    with Store(db, create=False) as store:
        player = None if agent is None or game is None else store.agent(game, agent).id
        episodes = store.episodes(game=game, agent=player, match=match, limit=limit, search=words)
        names = seat_names(store, episodes)
    if json:
        print_json([summary(episode, seats) for episode, seats in zip(episodes, names, strict=True)])
        return
    rows = [
        (
            episode.id,
            episode.game,
            " – ".join(seats),
            outcome(episode),
            episode.length,
            ending(episode) if episode.rated else f"{ending(episode)}, unrated",
            when(episode.created_at),
        )
        for episode, seats in zip(episodes, names, strict=True)
    ]
    columns = ("episode", "game", "players", "result", "steps", "end", "when")
    print_table(columns, rows, "no episodes yet; `arena match GAME A B` plays some", left=3)


@app.command()
def show(
    episode: EpisodeNumber,
    ply: Annotated[int | None, typer.Option(metavar="N", min=0, help="Only the position after so many steps.")] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Step through an episode. Keys on a terminal; elsewhere all positions one after another.

    \b
    Example:
      arena replay show 17
      arena replay show 17 --ply 4
    """
    with Store(db, create=False) as store:
        found = store.episode(episode)
        (names,) = seat_names(store, [found])
    if ply is not None and ply > found.length:
        raise UsageError(f"episode {found.id} has {found.length} steps; --ply is at most that")
    if ply is None and not json and sys.stdin.isatty() and sys.stdout.isatty():
        _step_through(found, names)
        return
    plies = range(found.length + 1) if ply is None else range(ply, ply + 1)
    if json:
        print_json(summary(found, names) | {"positions": [_position(frame) for frame in _positions(found, plies)]})
    else:
        for frame in _positions(found, plies):
            print(picture(found, names, frame), end="\n" if ply is not None else "\n\n")


@app.command()
def annotate(
    episode: EpisodeNumber,
    by: Annotated[
        str | None, typer.Option(metavar="AGENT", help="Who is asked; else the strongest that values positions.")
    ] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Ask an agent about every position. The value for the first seat, the likeliest moves, the decisive one.

    \b
    Example:
      arena replay annotate 17
    """
    with Store(db, create=False) as store:
        found = store.episode(episode)
        from arena.annotation import annotate as annotated

        thoughts = annotated(store, found, by)
    if json:
        print_json(thoughts)
        return
    rows = [
        (
            ("▸ " if ply + 1 == thoughts.decisive else "") + str(ply),
            "–" if mind.value is None else f"{mind.value:+.3f}",
            "  ".join(f"{move} {share:.0%}" for move, share in mind.top[:3]),
        )
        for ply, mind in enumerate(thoughts.minds)
    ]
    print_table(("ply", f"value by {clean(thoughts.by)}", "likeliest moves"), rows, "a game without a move")


@app.command()
def verify(
    episodes: Annotated[list[int] | None, typer.Argument(metavar="EPISODE…", help="Episodes' numbers.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every episode of the file.")] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Play episodes again and compare every step. Exits with 1 where anything differs.

    \b
    Example:
      arena replay verify --all
      arena replay verify 17 18
    """
    if bool(episodes) == everything:
        raise UsageError("name the episodes to verify, or --all of them")
    with Store(db, create=False) as store:
        from arena.episodes import verify as verify_episodes

        verdicts = sorted(verify_episodes(store, None if everything else episodes), key=lambda verdict: verdict.episode)
    wrong = [verdict for verdict in verdicts if not verdict.ok]
    if json:
        print_json({"episodes": len(verdicts), "verified": len(verdicts) - len(wrong), "differ": wrong})
    else:
        for verdict in wrong:
            place = "" if verdict.step is None else f", step {verdict.step}"
            print(f"episode {verdict.episode}{place}: {clean(verdict.problem)}")
        print(f"{len(verdicts) - len(wrong)} of {len(verdicts)} episodes verified")
    if wrong:
        raise typer.Exit(1)


@app.command()
def export(
    episodes: Annotated[list[int], typer.Argument(metavar="EPISODE…", help="Episodes' numbers.")],
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help=f"One of {', '.join(FORMATS)}; else as --out ends, else text."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to; else stdout.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that exists.")] = False,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Write episodes down, by default as text. With --json seed, moves and rewards of each.

    \b
    Example:
      arena replay export 17 18 > games.txt
    """
    name = find_format(form, out)
    if form is None and out is not None and out.suffix.lower() == ".json":
        raise UsageError(f"--json prints JSON: arena replay export {' '.join(map(str, episodes))} --json > {out}")
    if out is not None and out.exists() and not force:
        raise UsageError(f"{out} exists; --force overwrites it")
    with Store(db, create=False) as store:
        found = [store.episode(number) for number in episodes]
        names = seat_names(store, found)
    if json:
        if form is not None or out is not None:
            raise UsageError("--json has a form of its own; leave out --format and --out")
        _print_steps(found, names)
        return
    if out is None and FORMATS[name].binary:
        raise UsageError(f"{name} is nothing for a terminal: say --out FILE{FORMATS[name].suffix}")
    data = write(name, [Recorded(*game) for game in zip(found, map(_cleaned, names), strict=True)])
    if out is None:
        print(data.decode(), end="")
    else:
        write_file(out, data)
        say(f"{len(found)} {'episode' if len(found) == 1 else 'episodes'} → {clean(str(out))}")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="PGN (chess) or SGF (go).")],
    form: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="pgn or sgf; else as FILE ends.")
    ] = None,
    game: Annotated[
        str | None,
        typer.Option(metavar="GAME", help="The variant to take its games for; else its own.", parser=canonical),
    ] = None,
    db: Db = DEFAULT_DB,
    json: Json = False,
) -> None:
    """Take in games that were played elsewhere, unrated. Every move is checked; a file comes in whole or not at all.

    \b
    Example:
      arena replay import games.pgn
    """
    from arena.imported import keep_games, read_games

    games = read_games(file, form, game)
    with Store(db) as store:
        numbers = keep_games(store, games, file.name)
    if json:
        print_json({"episodes": numbers})
        return
    plies = sum(episode.length for _, episode in games)
    which = f"episode {numbers[0]}" if len(numbers) == 1 else f"episodes {numbers[0]} to {numbers[-1]}"
    print(f"{which}: {len(numbers):,} {'game' if len(numbers) == 1 else 'games'}, {plies:,} moves")


def _cleaned(names: Sequence[str]) -> list[str]:
    return [clean(name) for name in names]


def _print_steps(episodes: Sequence[Episode], names: Sequence[Sequence[str]]) -> None:
    from arena.episodes import frames

    print_json(
        [
            summary(episode, seats)
            | {"steps": [{"moves": frame.last, "rewards": frame.rewards} for frame in frames(episode, drawn=())][1:]}
            for episode, seats in zip(episodes, names, strict=True)
        ]
    )


def seat_names(store: Store, episodes: Sequence[Episode]) -> list[list[str]]:
    """Who sat where in each; every agent is looked up once."""
    name = functools.cache(lambda agent: store.agent_by_id(agent).name)
    return [[name(player.agent) for player in episode.players] for episode in episodes]


def outcome(episode: Episode) -> str:
    """1–0, ½–½, or the return where there is one player."""
    if len(episode.players) == 1:
        return f"{episode.players[0].reward:g}"
    return "–".join(
        "½" if player.score == 0.5 else f"{player.score:g}" for player in episode.players if player.score is not None
    )


def summary(episode: Episode, names: Sequence[str]) -> dict[str, object]:
    """An episode for machines, without its bytes."""
    players = [
        {"seat": seat, "agent": name, "return": player.reward, "score": player.score}
        for seat, (name, player) in enumerate(zip(names, episode.players, strict=True))
    ]
    return {
        "episode": episode.id,
        "game": episode.game,
        "version": episode.version,
        "seed": episode.seed,
        "length": episode.length,
        "opening_plies": episode.opening_plies,
        "reason": episode.reason,
        "forfeit": episode.forfeit,
        "backend": episode.backend,
        "rated": episode.rated,
        "match": episode.match,
        "created_at": episode.created_at,
        "players": players,
    }


def picture(episode: Episode, names: Sequence[str], frame: Frame) -> str:
    """One position with a line above it that says where we are."""
    moves = ", ".join(f"{clean(names[seat])} {clean(name)}" for seat, name in sorted(frame.last.items()))
    opening = " (opening)" if 0 < frame.ply <= episode.opening_plies else ""
    rewards = f" · rewards {' '.join(f'{reward:g}' for reward in frame.rewards)}" if any(frame.rewards) else ""
    how = episode.reason if episode.forfeit is None else f"forfeit: {clean(episode.forfeit)}"
    end = f" · {how}, {outcome(episode)}" if frame.ply == episode.length else ""
    head = f"episode {episode.id} · step {frame.ply} of {episode.length}{f' · {moves}' if moves else ''}{opening}"
    return f"{head}{rewards}{end}\n{drawing_text(frame.drawing)}"


def _position(frame: Frame) -> dict[str, object]:
    return {
        "ply": frame.ply,
        "last": frame.last,
        "to_move": frame.to_move,
        "rewards": frame.rewards,
        "lines": frame.drawing.text().splitlines(),
        "caption": frame.drawing.caption,
    }


def _positions(episode: Episode, plies: range) -> Iterator[Frame]:
    """The positions after so many steps."""
    from arena.episodes import frames

    return itertools.islice(frames(episode, drawn=plies), plies.start, plies.stop)


def _step_through(episode: Episode, names: Sequence[str]) -> None:
    ply = 0
    positions: dict[int, Frame] = {}
    while True:
        if ply not in positions:
            around = range(max(0, ply - DRAWN_AROUND), ply + DRAWN_AROUND + 1)
            positions = {frame.ply: frame for frame in _positions(episode, around)}
        print(f"\x1b[2J\x1b[H{picture(episode, names, positions[ply])}\n")
        print("→ or space: on · ←: back · g: start · G: end · q: leave")
        match typer.getchar():
            case "\x1b[C" | "\x1b[B" | " " | "\r" | "n" | "l":
                ply = min(ply + 1, episode.length)
            case "\x1b[D" | "\x1b[A" | "\x7f" | "p" | "h":
                ply = max(ply - 1, 0)
            case "g" | "\x1b[H":
                ply = 0
            case "G" | "\x1b[F":
                ply = episode.length
            case "q" | "Q" | "\x1b" | "\x04":
                return
