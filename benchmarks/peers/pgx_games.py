"""Random play in Pgx: sampling a legal action and writing the observation included. Prints one JSON line."""

from __future__ import annotations

import argparse
import json
import time

import jax
import jax.numpy as jnp
import pgx
from pgx.experimental import auto_reset

NAMES = {
    "tic_tac_toe": "tic_tac_toe",
    "connect_four": "connect_four",
    "othello": "othello",
    "go9": "go_9x9",
    "go19": "go_19x19",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--game", choices=NAMES, required=True)
    parser.add_argument("--games", type=int, default=4096)
    parser.add_argument("--seconds", type=float, default=5.0)
    args = parser.parse_args()
    env = pgx.make(NAMES[args.game])
    step = jax.vmap(auto_reset(env.step, env.init))
    steps_a_call = 32

    @jax.jit
    def play(state, key):
        def one(carry, _):
            state, key, seen = carry
            key, sample, fresh = jax.random.split(key, 3)
            action = jax.random.categorical(sample, jnp.where(state.legal_action_mask, 0.0, -1e9))
            state = step(state, action, jax.random.split(fresh, args.games))
            return (state, key, seen + state.observation.sum()), None

        return jax.lax.scan(one, (state, key, jnp.float32(0)), None, length=steps_a_call)[0]

    key = jax.random.PRNGKey(0)
    state = jax.vmap(env.init)(jax.random.split(key, args.games))
    state, key, _ = jax.block_until_ready(play(state, key))  # compiles
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < args.seconds:
        state, key, _ = jax.block_until_ready(play(state, key))
        calls += 1
    elapsed = time.perf_counter() - start
    print(json.dumps({"value": calls * steps_a_call * args.games / elapsed, "unit": "moves/s", "games": args.games}))


if __name__ == "__main__":
    main()
