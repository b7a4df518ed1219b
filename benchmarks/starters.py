"""Makes the starters: trains the recipes, plays a round robin with the scripts, writes `arena/data/starters/`.

    python benchmarks/starters.py [--db starters.db]       about four hours of one thread
    python benchmarks/starters.py --game connect_four      that game's anew; the others stay

A run that the database has already is taken as it is. Commit first: the index says which commit trained them.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from arena import starters
from arena.records import Agent
from arena.standings import standings
from arena.store import Store

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "arena/data/starters"
MAX_BYTES = 3 * 2**20
"""Of all but the Atari agents, which may have 2 MiB each."""
GAMES = 100
FEWER = {"go?size=13": 10, "pettingzoo/atari/pong_v3": 20}
"""Games of a match where they take long."""
SEED = 1
SCRIPTS = {
    "tic_tac_toe": ["random", "tactician", "minimax", "mcts-100", "mcts-1000"],
    "connect_four": ["random", "tactician", "mcts-100", "mcts-1000"],
    "gridworld/sumo": ["random", "first-legal"],
    "gridworld/tron": ["random", "first-legal"],
    "go?size=13": ["random", "mcts-100"],
    "pettingzoo/atari/pong_v3": ["random", "ball-follower"],
}
"""Who else is in a game's round robin."""
# What is trained. `levels`: starter → its steps; `half`: kept in half precision (a round robin is played before
# that); `plays`: the variants in which a game of one player is measured by its scores; `words`: more of the command,
# which then needs a database that has what they name.
RUNS: dict[str, dict[str, Any]] = {
    "starter-tic-tac-toe": {
        "game": "tic_tac_toe",
        "steps": 1_500_000,
        "every": 100_000,
        "levels": {"rookie": 100_000, "regular": 300_000, "expert": 1_500_000},
    },
    "starter-connect-four": {
        "game": "connect_four",
        "steps": 6_000_000,
        "every": 500_000,
        "levels": {"rookie": 500_000, "regular": 2_000_000, "expert": 6_000_000},
        "half": True,
    },
    "starter-connect-four-az": {
        "game": "connect_four",
        "algo": "az",
        "seed": 0,
        "steps": 13_000_000,
        "every": 2_000_000,
        "settings": {"hidden_size": 384, "bfloat16": "true", "learning_rate": 1.5e-3, "window": 1_000_000},
        "levels": {"master": 13_000_000},
        "half": True,
        "note": "the rate fell towards 18 M steps until 6.4 M, towards 14 M until 12.1 M, then towards 13 M",
    },
    "starter-sumo": {
        "game": "gridworld/sumo",
        "steps": 600_000,
        "every": 100_000,
        "levels": {"rookie": 100_000, "expert": 600_000},
        "half": True,
    },
    "starter-tron": {
        "game": "gridworld/tron",
        "steps": 600_000,
        "every": 100_000,
        "levels": {"rookie": 100_000, "expert": 600_000},
    },
    "starter-go-13": {
        "game": "go?size=13",
        "algo": "bc",
        "seed": 0,
        "steps": 40_000,
        "every": 40_000,
        "words": ["--from", "episodes", "--init", "go:clone9@17k"],
        "settings": {"batch_size": 256, "learning_rate": 1e-3},
        "levels": {"rookie": 40_000},
        "half": True,
        "note": "24 games of GNU Go 3.8 with itself, level 1, every 20th move random; begun with a clone of 88 on 9×9",
    },
    "starter-breakout": {
        "game": "ALE/Breakout-v5?sticky=0.0",
        "seed": 0,
        "steps": 1_800_000,
        "every": 250_000,
        "settings": {"network": "dqn2013", "hidden_size": 256, "bfloat16": "true", "learning_rate": 5e-4},
        "levels": {"expert": 1_800_000},
        "half": True,
        "plays": ["ALE/Breakout-v5?sticky=0.0", "ALE/Breakout-v5"],
        "note": "the rate fell towards 5 M steps until 0.16 M, 3.2 M until 0.83 M, 2.3 M until 1.49 M, 1.9 M until "
        "1.64 M, then towards 1.8 M",
    },
    "starter-pong": {
        "game": "ALE/Pong-v5?sticky=0.0",
        "seed": 0,
        "steps": 1_900_000,
        "every": 250_000,
        "settings": {"network": "dqn2013", "hidden_size": 256, "bfloat16": "true", "learning_rate": 5e-4},
        "levels": {"expert": 1_900_000},
        "half": True,
        "plays": ["ALE/Pong-v5?sticky=0.0", "ALE/Pong-v5"],
        "note": "the rate fell towards 4.5 M steps until 1.34 M, towards 2.3 M until 1.46 M, then towards 1.9 M",
    },
    "starter-pong-duel": {
        "game": "pettingzoo/atari/pong_v3",
        "seed": 0,
        "steps": 600_000,
        "every": 100_000,
        "words": shlex.split(
            "--init duel2@1.5M --opponent ball-follower --opponent ball-follower --opponent duel@501k "
            "--opponent duel@2.00M --opponent duel2@251k --opponent duel2@501k --opponent duel2@1.0M"
        ),
        "settings": {
            "network": "dqn2013",
            "hidden_size": 256,
            "bfloat16": "true",
            "num_envs": 16,
            "num_steps": 64,
            "learning_rate": 3e-4,
            "pool_share": 0.875,
            "pool_blocks": 7,
            "pool_size": 1,
            "random_share": 0.0625,
            "snapshot_steps": 50_000,
        },
        "levels": {"expert": 600_000},
        "half": True,
        "note": "third of three runs: the log has the others, duel and duel2, 3.5 M steps",
    },
}


def arena(*words: object) -> str:
    """Run a command of Arena's; its stdout."""
    done = subprocess.run([sys.executable, "-m", "arena", *map(str, words)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"arena {' '.join(map(str, words))} failed")
    return done.stdout


def train_command(run: str) -> list[str]:
    recipe = RUNS[run]
    words = ["train", recipe["game"], "--algo", recipe.get("algo", "ppo"), "--name", run]
    words += ["--seed", recipe.get("seed", SEED), "--steps", recipe["steps"]]
    words += ["--checkpoint-steps", recipe["every"], "--device", "cpu"]
    words += recipe.get("words", [])
    for key, value in recipe.get("settings", {}).items():
        words += ["--set", f"{key}={value}"]
    return [str(word) for word in words]


def measure(db: Path, game: str, names: dict[str, str]) -> dict[str, dict[str, float]]:
    """Everybody against everybody; name → opponent → share of points, by the starters' own names."""
    shares: dict[str, dict[str, float]] = {name: {} for name in names}
    for one, other in itertools.combinations(names, 2):
        games = FEWER.get(game, GAMES)
        result = json.loads(arena("match", game, names[one], names[other], "--games", games, "--db", db, "--json"))
        shares[one][other], shares[other][one] = result["score"], 1 - result["score"]
        print(f"{game}: {one} – {other} {100 * result['score']:.0f} %", flush=True)
    return shares


def strength(db: Path, game: str, names: dict[str, str], scripts: list[str]) -> dict[str, dict[str, Any]]:
    """Play a round robin; name → the index's `strength`, `elo`, `low` and `high`."""
    shares = measure(db, game, names)
    with Store(db, create=False) as store:
        table = {line.agent: line for line in standings(store, game)}
    rows = {}
    for name, stored in names.items():
        against = ", ".join(f"{100 * shares[name][other]:.0f} % against {other}" for other in scripts if other != name)
        line = table[stored]
        rows[name] = {"strength": against, "elo": round(line.elo), "low": round(line.low), "high": round(line.high)}
    return rows


def half(data: bytes) -> bytes:
    """A checkpoint with its weights in half precision."""
    from safetensors import safe_open
    from safetensors.torch import load, save

    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(data)
        file.flush()
        with safe_open(file.name, "pt") as opened:
            metadata = opened.metadata()
    tensors = {name: t.half() if t.is_floating_point() else t for name, t in load(data).items()}
    return save(tensors, metadata=metadata)


def trained(db: Path, run: str) -> tuple[dict[str, Any], dict[str, tuple[Agent, bytes]]]:
    """The run's provenance for the index; starter → its agent and file. Trained where the database has it not."""
    recipe = RUNS[run]
    known = json.loads(arena("runs", "list", "--db", db, "--json")) if db.exists() else []
    if run not in [each["name"] for each in known]:
        arena(*train_command(run), "--db", db)
    with Store(db, create=False) as store:
        row = store.run(run)
        agents = {agent.step: agent for agent in store.agents(row.game, retired=True) if agent.run == row.id}
        levels = {}
        for name, wanted in recipe["levels"].items():
            agent = agents[min(step for step in agents if step and step >= wanted)]
            data = store.checkpoint_data(agent.checkpoint or "")
            levels[name] = agent, half(data) if recipe.get("half") else data
    provenance: dict[str, Any] = {
        "game": row.game,
        "algorithm": row.algorithm,
        "config": row.config,
        "seed": row.seed,
        "total_steps": row.total_steps,
        "step": row.step,
        "seconds": round(row.seconds, 1),
        "device": row.device,
        "versions": row.versions,
        "commit_hash": row.commit_hash,
        "command": f"arena {shlex.join(train_command(run))}",
    }
    if "note" in recipe:
        provenance["command"] += f" ({recipe['note']})"
    return provenance, levels


def rated(db: Path, game: str, index: dict[str, Any]) -> None:
    """Add a game of several players: its agents by level, rated by a round robin with the scripts."""
    rows: dict[str, dict[str, Any]] = {}
    names = {name: name for name in SCRIPTS[game]}
    for run in runs_of(game):
        index["runs"][run], levels = trained(db, run)
        for name, (agent, data) in levels.items():
            names[name] = agent.name
            rows[name] = {"name": name, "game": game, "run": run, "step": agent.step} | keep(data)
    measured = strength(db, game, names, SCRIPTS[game])
    index["ratings"][game] = {name: [row["elo"], row["low"], row["high"]] for name, row in measured.items()}
    index["agents"] += [row | measured[name] for name, row in rows.items()]


def scored(db: Path, game: str, index: dict[str, Any]) -> None:
    """Add a game of one player: its agents, measured by their mean return in each variant that they play."""
    rows: list[dict[str, Any]] = []
    for run in runs_of(game):
        index["runs"][run], levels = trained(db, run)
        for name, (agent, data) in levels.items():
            kept = {"run": run, "step": agent.step} | keep(data) | {"strength": ""}
            rows += [{"name": name, "game": variant} | kept for variant in RUNS[run]["plays"]]
    index["agents"] += rows
    write(index)  # the files that are shipped are what is measured
    for row in rows:
        with tempfile.TemporaryDirectory() as folder:
            words = ("--episodes", GAMES, "--db", Path(folder) / "league.db", "--deterministic", "--json")
            found = json.loads(arena("evaluate", row["game"], row["name"], *words))
        row["strength"] = f"{found['mean']:.1f} ± {found['std']:.1f} over {GAMES} games"
        print(f"{row['game']}: {row['strength']}", flush=True)


def is_atari(game: str) -> bool:
    return game.startswith(("ALE/", "pettingzoo/atari/"))


def runs_of(game: str) -> list[str]:
    return [run for run, recipe in RUNS.items() if recipe["game"] == game]


def keep(data: bytes) -> dict[str, Any]:
    """Write a checkpoint beside the index; its row's `sha256` and `size`."""
    sha256 = hashlib.sha256(data).hexdigest()
    TARGET.mkdir(parents=True, exist_ok=True)
    (TARGET / f"{sha256[:16]}.safetensors").write_bytes(data)
    return {"sha256": sha256, "size": len(data)}


def write(index: dict[str, Any]) -> None:
    (TARGET / starters.INDEX).write_text(json.dumps(index, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    every = list(dict.fromkeys(recipe["game"] for recipe in RUNS.values()))
    parser.add_argument("--db", type=Path, default=Path("starters.db"))
    parser.add_argument("--game", choices=every, action="append")
    arguments = parser.parse_args()
    index: dict[str, Any] = {"runs": {}, "agents": [], "ratings": {}}
    if (TARGET / starters.INDEX).is_file():
        index = json.loads((TARGET / starters.INDEX).read_text())
    few = ", ".join(f"{games} in {game}" for game, games in FEWER.items())
    index["how"] = f"round robin, {GAMES} games a pair ({few}), random = 0; games of one player: greedy, {GAMES} games"
    for game in arguments.game or every:
        index["agents"] = [row for row in index["agents"] if row["run"] not in runs_of(game)]
        (rated if game in SCRIPTS else scored)(arguments.db, game, index)
    index["agents"].sort(key=lambda row: list(RUNS).index(row["run"]))
    write(index)
    wanted = {row["sha256"][:16] for row in index["agents"]}
    for file in TARGET.glob("*.safetensors"):
        if file.stem not in wanted:
            file.unlink()
    size = sum(row["size"] for row in index["agents"] if not is_atari(row["game"]))
    if size > MAX_BYTES:
        sys.exit(f"{size:,} bytes are more than {MAX_BYTES:,}")
    print(f"{len(index['agents'])} starters, {size:,} bytes without the Atari agents'")


if __name__ == "__main__":
    main()
