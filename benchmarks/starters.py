"""Makes the starters: trains the recipes, plays a round robin with the scripts, writes `arena/data/starters/`.

    python benchmarks/starters.py [--db starters.db]       about ten minutes of one thread

A run that the database has already is taken as it is. Commit first: the index says which commit trained them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from arena import starters
from arena.standings import standings
from arena.store import Store

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "arena/data/starters"
MAX_BYTES = 3 * 2**20
GAMES = 100
SEED = 1
RECIPES: dict[str, dict[str, Any]] = {
    "tic_tac_toe": {
        "steps": 1_500_000,
        "every": 100_000,
        "levels": {"rookie": 100_000, "regular": 300_000, "expert": 1_500_000},
        "scripts": ["random", "tactician", "minimax", "mcts-100", "mcts-1000"],
    },
    "connect_four": {
        "steps": 6_000_000,
        "every": 500_000,
        "levels": {"rookie": 500_000, "regular": 2_000_000, "expert": 6_000_000},
        "scripts": ["random", "tactician", "mcts-100", "mcts-1000"],
    },
    "gridworld/sumo": {
        "steps": 600_000,
        "every": 100_000,
        "levels": {"rookie": 100_000, "expert": 600_000},
        "scripts": ["random", "first-legal"],
    },
    "gridworld/tron": {
        "steps": 600_000,
        "every": 100_000,
        "levels": {"rookie": 100_000, "expert": 600_000},
        "scripts": ["random", "first-legal"],
    },
}


def arena(*words: object) -> str:
    """Run a command of Arena's; its stdout."""
    done = subprocess.run([sys.executable, "-m", "arena", *map(str, words)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"arena {' '.join(map(str, words))} failed")
    return done.stdout


def run_name(game: str) -> str:
    return f"starter-{game.rpartition('/')[2].replace('_', '-')}"


def train_command(game: str) -> list[str]:
    recipe = RECIPES[game]
    words = ["train", game, "--algo", "ppo", "--name", run_name(game), "--seed", SEED, "--steps", recipe["steps"]]
    return [str(word) for word in (*words, "--checkpoint-steps", recipe["every"], "--device", "cpu")]


def measure(db: Path, game: str, names: dict[str, str]) -> dict[str, dict[str, float]]:
    """Everybody against everybody; name → opponent → share of points, by the starters' own names."""
    shares: dict[str, dict[str, float]] = {name: {} for name in names}
    for one, other in itertools.combinations(names, 2):
        result = json.loads(arena("match", game, names[one], names[other], "--games", GAMES, "--db", db, "--json"))
        shares[one][other], shares[other][one] = result["score"], 1 - result["score"]
        print(f"{game}: {one} – {other} {100 * result['score']:.0f} %", flush=True)
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--db", type=Path, default=Path("starters.db"))
    db: Path = parser.parse_args().db
    index: dict[str, Any] = {"how": f"round robin, {GAMES} games a pair, random = 0", "runs": {}, "agents": []}
    index["ratings"] = {}
    files: dict[str, bytes] = {}
    for game, recipe in RECIPES.items():
        run = run_name(game)
        known = (
            [each["name"] for each in json.loads(arena("runs", "list", "--db", db, "--json"))] if db.exists() else []
        )
        if run not in known:
            arena(*train_command(game), "--db", db)
        with Store(db, create=False) as store:
            agents = {agent.step or 0: agent for agent in store.agents(game, retired=True) if agent.step}
            row = store.run(run)
        chosen = {name: agents[min(s for s in agents if s >= step)] for name, step in recipe["levels"].items()}
        names = {name: name for name in recipe["scripts"]} | {name: agent.name for name, agent in chosen.items()}
        shares = measure(db, game, names)
        with Store(db, create=False) as store:
            table = {line.agent: line for line in standings(store, game)}
            for agent in chosen.values():
                files[agent.checkpoint or ""] = store.checkpoint_data(agent.checkpoint or "")
        index["runs"][run] = {
            "game": game,
            "algorithm": row.algorithm,
            "config": row.config,
            "seed": row.seed,
            "total_steps": row.total_steps,
            "step": row.step,
            "seconds": round(row.seconds, 1),
            "device": row.device,
            "versions": row.versions,
            "commit_hash": row.commit_hash,
            "command": f"arena {' '.join(train_command(game))}",
        }
        rated = {name: table[stored] for name, stored in names.items()}
        index["ratings"][game] = {n: [round(line.elo), round(line.low), round(line.high)] for n, line in rated.items()}
        for name, agent in chosen.items():
            against = ", ".join(f"{100 * shares[name][other]:.0f} % against {other}" for other in recipe["scripts"])
            elo, low, high = index["ratings"][game][name]
            index["agents"].append(
                {
                    "name": name,
                    "game": game,
                    "run": run,
                    "step": agent.step,
                    "sha256": agent.checkpoint,
                    "size": len(files[agent.checkpoint or ""]),
                    "strength": against,
                    "elo": elo,
                    "low": low,
                    "high": high,
                }
            )
    size = sum(map(len, files.values()))
    if size > MAX_BYTES:
        sys.exit(f"{size:,} bytes are more than {MAX_BYTES:,}")
    TARGET.mkdir(parents=True, exist_ok=True)
    for old in TARGET.glob("*.safetensors"):
        old.unlink()
    for sha256, data in files.items():
        (TARGET / f"{sha256[:16]}.safetensors").write_bytes(data)
    (TARGET / starters.INDEX).write_text(json.dumps(index, indent=1) + "\n")
    print(f"{len(index['agents'])} starters, {size:,} bytes")


if __name__ == "__main__":
    main()
