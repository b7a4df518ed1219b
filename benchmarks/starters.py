"""Makes the starters: trains the recipes, plays a round robin with the scripts, writes `arena/data/starters/`.

    python benchmarks/starters.py [--db starters.db]       about ten minutes of one thread, and an hour for Pong
    python benchmarks/starters.py --game connect_four      that game's anew; the others stay

A run that the database has already is taken as it is. Commit first: the index says which commit trained them.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from arena import starters
from arena.standings import standings
from arena.store import Store

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "arena/data/starters"
MAX_BYTES = 3 * 2**20
"""Of all but the Atari agents, which may have 2 MiB each."""
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
# Alone against the game: how strong is said by scores, in every variant of `plays`. Kept in half precision.
SCORED: dict[str, dict[str, Any]] = {
    "ALE/Pong-v5?sticky=0.0": {
        "steps": 1_900_000,
        "every": 250_000,
        "settings": {"network": "dqn2013", "hidden_size": 256, "bfloat16": "true", "learning_rate": 5e-4},
        "plays": ["ALE/Pong-v5?sticky=0.0", "ALE/Pong-v5"],
        "name": "expert",
        "note": "the rate fell towards 4.5 M steps until 1.34 M, towards 2.3 M until 1.46 M, then towards 1.9 M",
    },
}


def arena(*words: object) -> str:
    """Run a command of Arena's; its stdout."""
    done = subprocess.run([sys.executable, "-m", "arena", *map(str, words)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"arena {' '.join(map(str, words))} failed")
    return done.stdout


def run_name(game: str) -> str:
    return f"starter-{game.partition('?')[0].rpartition('/')[2].replace('_', '-').lower()}"


def train_command(game: str) -> list[str]:
    recipe = (RECIPES | SCORED)[game]
    words = ["train", game, "--algo", "ppo", "--name", run_name(game), "--seed", SEED, "--steps", recipe["steps"]]
    words += ["--checkpoint-steps", recipe["every"], "--device", "cpu"]
    for key, value in recipe.get("settings", {}).items():
        words += ["--set", f"{key}={value}"]
    return [str(word) for word in words]


def measure(db: Path, game: str, names: dict[str, str]) -> dict[str, dict[str, float]]:
    """Everybody against everybody; name → opponent → share of points, by the starters' own names."""
    shares: dict[str, dict[str, float]] = {name: {} for name in names}
    for one, other in itertools.combinations(names, 2):
        result = json.loads(arena("match", game, names[one], names[other], "--games", GAMES, "--db", db, "--json"))
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


def trained(db: Path, game: str) -> tuple[dict[str, Any], dict[int, Any]]:
    """The run's provenance for the index, and step → agent; trained where the database has it not."""
    known = json.loads(arena("runs", "list", "--db", db, "--json")) if db.exists() else []
    run = run_name(game)
    if run not in [each["name"] for each in known]:
        arena(*train_command(game), "--db", db)
    with Store(db, create=False) as store:
        agents = {agent.step: agent for agent in store.agents(game, retired=True) if agent.step}
        row = store.run(run)
    provenance: dict[str, Any] = {
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
    if "note" in (recipe := (RECIPES | SCORED)[game]):
        provenance["command"] += f" ({recipe['note']})"
    return provenance, agents


def rated(db: Path, game: str, index: dict[str, Any]) -> None:
    """Add a game of several players: its agents by level, rated by a round robin with the scripts."""
    recipe, run = RECIPES[game], run_name(game)
    index["runs"][run], agents = trained(db, game)
    chosen = {name: agents[min(s for s in agents if s >= step)] for name, step in recipe["levels"].items()}
    names = {name: name for name in recipe["scripts"]} | {name: agent.name for name, agent in chosen.items()}
    with Store(db, create=False) as store:
        files = {name: store.checkpoint_data(agent.checkpoint or "") for name, agent in chosen.items()}
    rows = strength(db, game, names, recipe["scripts"])
    index["ratings"][game] = {name: [row["elo"], row["low"], row["high"]] for name, row in rows.items()}
    for name, agent in chosen.items():
        index["agents"].append(
            {"name": name, "game": game, "run": run, "step": agent.step} | keep(files[name]) | rows[name]
        )


def scored(db: Path, game: str, index: dict[str, Any]) -> None:
    """Add a game of one player: the last agent, measured by its mean return in each variant that it plays."""
    recipe, run = SCORED[game], run_name(game)
    index["runs"][run], agents = trained(db, game)
    step = max(agents)
    with Store(db, create=False) as store:
        kept = keep(half(store.checkpoint_data(agents[step].checkpoint or "")))
    name = recipe["name"]
    rows: list[dict[str, Any]] = [
        {"name": name, "game": variant, "run": run, "step": step} | kept | {"strength": ""}
        for variant in recipe["plays"]
    ]
    index["agents"] += rows
    write(index)  # the files that are shipped are what is measured
    for row in rows:
        with tempfile.TemporaryDirectory() as folder:
            words = ("--episodes", GAMES, "--db", Path(folder) / "league.db", "--deterministic", "--json")
            found = json.loads(arena("evaluate", row["game"], name, *words))
        row["strength"] = f"{found['mean']:.1f} ± {found['std']:.1f} over {GAMES} games"
        print(f"{row['game']}: {row['strength']}", flush=True)


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
    parser.add_argument("--db", type=Path, default=Path("starters.db"))
    parser.add_argument("--game", choices=[*RECIPES, *SCORED], action="append")
    arguments = parser.parse_args()
    games = arguments.game or [*RECIPES, *SCORED]
    index: dict[str, Any] = {"runs": {}, "agents": [], "ratings": {}}
    if (TARGET / starters.INDEX).is_file():
        index = json.loads((TARGET / starters.INDEX).read_text())
    index["how"] = f"round robin, {GAMES} games a pair, random = 0; games of one player: greedy, {GAMES} games"
    for game in games:
        index["agents"] = [row for row in index["agents"] if row["run"] != run_name(game)]
        (rated if game in RECIPES else scored)(arguments.db, game, index)
    index["agents"].sort(key=lambda row: [*RECIPES, *SCORED].index(index["runs"][row["run"]]["game"]))
    write(index)
    wanted = {row["sha256"][:16] for row in index["agents"]}
    for file in TARGET.glob("*.safetensors"):
        if file.stem not in wanted:
            file.unlink()
    size = sum(row["size"] for row in index["agents"] if index["runs"][row["run"]]["game"] in RECIPES)
    if size > MAX_BYTES:
        sys.exit(f"{size:,} bytes are more than {MAX_BYTES:,}")
    print(f"{len(index['agents'])} starters, {size:,} bytes without the Atari agents'")


if __name__ == "__main__":
    main()
