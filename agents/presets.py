"""Good settings per game: what differs from an algorithm's defaults. Imports no torch.

Every entry whose key is a prefix of the game applies, the longest last; `agents.configs.default_config` puts them
together.
"""

from __future__ import annotations

from typing import Any

from agents.gym_presets import GYM_PRESETS, Presets

EVERY_ALGORITHM: Presets = {
    # Walking between s3 and s4 for ever pays more than reaching the end where γ is near 1; a time limit ends that.
    "gridworld/recycling": {"gamma": 0.9},
    "gridworld/recycling?minutes": {"gamma": 1.0},
}

_SIMULTANEOUS: dict[str, Any] = {
    "network": "mlp",
    "hidden_size": 128,
    "activation": "relu",
    "learning_rate": 1e-3,
    "entropy_coef": 0.05,
    "final_entropy_coef": 0.0,
}

# Few states, exact values: the squared error, and a learning rate that ends at 0.
_DQN_TABLE: dict[str, Any] = {
    "network": "mlp",
    "hidden_size": 64,
    "batch_size": 64,
    "learning_rate": 2e-3,
    "huber": False,
    "target_update": 32,
    "learning_starts": 200,
    "exploration_share": 0.5,
    "final_epsilon": 0.1,
}
_DQN_BOARDS: dict[str, Any] = {
    "num_envs": 64,
    "gamma": 0.98,
    "batch_size": 256,
    "train_ratio": 1 / 32,
    "target_update": 250,
    "buffer_size": 50_000,
    "learning_starts": 5_000,
    "final_epsilon": 0.1,
    "random_plies": 6,
}
_DQN_SIMULTANEOUS: dict[str, Any] = {
    "network": "mlp",
    "num_envs": 64,
    "train_ratio": 1 / 64,
    "buffer_size": 50_000,
    "learning_starts": 5_000,
}
_LATEST_GREEDY_RETURN: dict[str, Any] = {
    "num_envs": 64,
    "off_policy": True,
    "exploration_share": 0.5,
    "learning_rate": 1.0,
}

# Its weights fit every size of board: what was learnt on 9×9 is where 13×13 begins.
_GO_NETWORK: dict[str, Any] = {"network": "board", "hidden_size": 32, "hidden_layers": 3, "bfloat16": True}

_VPG_ONE_MAZE: dict[str, Any] = {
    "network": "mlp",
    "num_envs": 64,
    "num_steps": 16,
    "gamma": 0.97,
    "max_grad_norm": 0.0,
    "hidden_size": 64,
    "hidden_layers": 2,
    "activation": "tanh",
    "learning_rate": 1e-2,
    "value_learning_rate": 3e-3,
    "value_steps": 16,
    "value_minibatches": 4,
    "entropy_coef": 0.1,
    "final_entropy_coef": 0.05,
}

# Env steps of a run by the presets; 200,000 where nothing is said. `benchmarks/gridworlds.py` shows what they give.
_SHORT_RUNS = dict.fromkeys(("gridworld/recycling", "gridworld/tiny", "gridworld/trap"), 40_000)
_TABLE_RUNS = dict.fromkeys((*_SHORT_RUNS, "gridworld/maze?level", "gridworld/custom"), 20_000)
BUDGETS: dict[str, dict[str, int]] = {
    "ppo": _SHORT_RUNS
    | {"gridworld/maze": 250_000, "gridworld/maze?level": 60_000, "gridworld/custom": 60_000}
    | {"gridworld/cliff": 150_000, "gridworld/rooms": 300_000, "gym/CartPole": 100_000}
    | dict.fromkeys(("gym/Acrobot", "gym/MountainCar-v", "gym/LunarLander"), 1_000_000)
    | dict.fromkeys(("gym/Hopper", "gym/HalfCheetah"), 1_000_000)
    | {"gym/Pendulum": 100_000},
    "vpg": _SHORT_RUNS
    | {"gridworld/maze": 250_000, "gridworld/maze?level": 100_000, "gridworld/custom": 100_000}
    | {"gridworld/cliff": 300_000, "gridworld/rooms": 300_000, "gym/Pendulum": 300_000},
    "az": {"tic_tac_toe": 120_000, "connect_four": 2_000_000},
    "q_learning": _TABLE_RUNS | {"gridworld/cliff": 40_000, "gridworld/rooms": 100_000},
    "sarsa": _TABLE_RUNS,
    "monte_carlo": _TABLE_RUNS,
    "dqn": dict.fromkeys(_SHORT_RUNS, 3_000)
    | {"gridworld/maze": 150_000, "gridworld/maze?level": 10_000, "gridworld/custom": 10_000}
    | {"gridworld/cliff": 20_000, "gridworld/rooms": 20_000, "cartpole": 60_000, "gym/CartPole": 100_000}
    | {"gym/Acrobot": 100_000, "gym/MountainCar-v": 120_000, "gym/LunarLander": 100_000},
}

# Two narrow layers unlearn the far rooms' last steps now and then; one wide layer and less entropy do not.
_ROOMS: dict[str, Any] = {"hidden_layers": 1, "hidden_size": 128, "final_entropy_coef": 0.02}
PRESETS: dict[str, Presets] = {
    "ppo": GYM_PRESETS["ppo"]
    | {
        "gridworld/": {
            "num_steps": 16,
            "gamma": 0.97,
            "learning_rate": 3e-3,
            "entropy_coef": 0.1,
            "final_entropy_coef": 0.05,
        },
        # Starts all over the map and falls that cost little more than a detour: else the walker learns to keep away
        # from the edge for good before it has learnt to walk along it.
        "gridworld/cliff": {"reward_scale": 5.0, "reward_clip": 3.0, "random_plies": 40},
        "gridworld/cliff?start=any": {"reward_clip": 10.0, "random_plies": 0, "final_entropy_coef": 0.01},
        "gridworld/rooms": _ROOMS,
        "gridworld/trap": {"reward_scale": 500.0},
        # To the planner all cells are alike: what it learns in some mazes holds in the next.
        "gridworld/maze": {
            "num_minibatches": 4,
            "shared_trunk": True,
            "network": "planner",
            "hidden_layers": 1,
            "activation": "relu",
            "gamma": 0.95,
            "learning_rate": 3e-3,
            "entropy_coef": 0.02,
            "final_entropy_coef": 0.005,
        },
        "gridworld/maze?level": {
            "network": "mlp",
            "num_envs": 64,
            "num_minibatches": 4,
            "shared_trunk": False,
            "hidden_size": 64,
            "hidden_layers": 2,
            "activation": "tanh",
            "gamma": 0.97,
            "learning_rate": 3e-3,
            "entropy_coef": 0.1,
            "final_entropy_coef": 0.05,
        },
        "gridworld/sumo": _SIMULTANEOUS,
        "gridworld/tron": _SIMULTANEOUS,
        "pettingzoo/": {
            "num_envs": 32,
            "hidden_size": 128,
            "activation": "relu",
            "entropy_coef": 0.1,
            "final_entropy_coef": 0.05,
        },
        "tic_tac_toe": {
            "num_envs": 256,
            "num_steps": 16,
            "num_epochs": 3,
            "num_minibatches": 2,
            "hidden_size": 128,
            "activation": "relu",
            "shared_trunk": True,
            "learning_rate": 2e-3,
            "gamma": 1.0,
            "gae_lambda": 0.8,
            "entropy_coef": 0.05,
            "final_entropy_coef": 0.01,
            "pool_share": 0.0,
            "random_plies": 8,
        },
        # One wide layer sees the lines; a short horizon and much entropy at first make it take wins and block threats.
        "connect_four": {
            "num_envs": 512,
            "num_steps": 8,
            "num_epochs": 4,
            "num_minibatches": 8,
            "hidden_size": 512,
            "hidden_layers": 1,
            "activation": "relu",
            "shared_trunk": True,
            "gamma": 0.9,
            "entropy_coef": 0.2,
            "final_entropy_coef": 0.02,
            "pool_share": 0.0,
            "random_plies": 8,
        },
    },
    "vpg": GYM_PRESETS["vpg"]
    | {
        "gridworld/": {
            "num_steps": 16,
            "gamma": 0.97,
            "gae_lambda": 0.95,
            "learning_rate": 1e-2,
            "value_learning_rate": 3e-3,
            "entropy_coef": 0.1,
            "final_entropy_coef": 0.05,
        },
        "gridworld/cliff": {
            "reward_scale": 5.0,
            "reward_clip": 3.0,
            "random_plies": 40,
            "hidden_size": 128,
            "hidden_layers": 1,
            "final_entropy_coef": 0.01,
        },
        "gridworld/cliff?start=any": {"reward_clip": 10.0, "random_plies": 0, "hidden_size": 64, "hidden_layers": 2},
        "gridworld/rooms": _ROOMS,
        "gridworld/trap": {"reward_scale": 500.0},
        # To the planner all cells are alike: what it learns in some mazes holds in the next.
        "gridworld/maze": {
            "num_envs": 64,
            "num_steps": 8,
            "network": "planner",
            "hidden_size": 64,
            "hidden_layers": 1,
            "activation": "relu",
            "gamma": 0.95,
            "learning_rate": 5e-3,
            "value_learning_rate": 5e-3,
            "value_steps": 1,
            "value_minibatches": 1,
            "max_grad_norm": 0.5,
            "entropy_coef": 0.02,
            "final_entropy_coef": 0.005,
        },
        "gridworld/maze?level": _VPG_ONE_MAZE,
        "gridworld/sumo": {**_SIMULTANEOUS, "learning_rate": 3e-3, "gae_lambda": 0.95},
        "gridworld/tron": {**_SIMULTANEOUS, "learning_rate": 3e-3, "gae_lambda": 0.95},
        "tic_tac_toe": {
            "num_envs": 256,
            "num_steps": 8,
            "hidden_size": 128,
            "activation": "relu",
            "learning_rate": 3e-3,
            "value_steps": 8,
            "gamma": 0.9,
            "entropy_coef": 0.1,
            "final_entropy_coef": 0.01,
            "random_plies": 4,
        },
        "connect_four": {
            "num_envs": 256,
            "num_steps": 16,
            "hidden_size": 256,
            "hidden_layers": 1,
            "activation": "relu",
            "learning_rate": 3e-3,
            "value_steps": 8,
            "gamma": 0.9,
            "gae_lambda": 0.95,
            "entropy_coef": 0.1,
            "final_entropy_coef": 0.01,
            "random_plies": 4,
        },
        "pettingzoo/": {
            "num_envs": 32,
            "hidden_size": 128,
            "activation": "relu",
            "learning_rate": 2e-3,
            "entropy_coef": 0.1,
            "final_entropy_coef": 0.05,
        },
    },
    "dqn": GYM_PRESETS["dqn"]
    | {
        "gridworld/recycling": _DQN_TABLE,
        "gridworld/tiny": _DQN_TABLE,
        "gridworld/trap": _DQN_TABLE | {"reward_scale": 500.0},
        # The way to the goal is found where the walker still errs but no longer falls at once: ε falls slowly.
        "gridworld/cliff": _DQN_TABLE
        | {"gamma": 0.97, "reward_scale": 10.0, "exploration_share": 0.8, "final_epsilon": 0.02},
        # At 0.99 the values outgrow the one reward before it is found often enough.
        "gridworld/rooms": _DQN_TABLE | {"gamma": 0.93},
        "gridworld/custom": _DQN_TABLE,
        "gridworld/maze": {
            "num_envs": 256,
            "network": "planner",
            "hidden_size": 64,
            "hidden_layers": 1,
            "batch_size": 256,
            "gamma": 0.93,
            "n_steps": 3,
            "huber": False,
            "learning_rate": 5e-3,
            "target_update": 100,
            "train_ratio": 1 / 20,
            "learning_starts": 5_000,
            "final_epsilon": 0.1,
        },
        "gridworld/maze?level": _DQN_TABLE
        | {
            "num_envs": 16,
            "hidden_layers": 2,
            "gamma": 0.97,
            "n_steps": 1,
            "train_ratio": 0.25,
            "buffer_size": 100_000,
        },
        "gridworld/sumo": _DQN_SIMULTANEOUS,
        "gridworld/tron": _DQN_SIMULTANEOUS,
        # Fictitious play: the best response to all that it played so far, as many snapshots as there are.
        "kuhn_poker": {
            "num_envs": 256,
            "hidden_size": 64,
            "hidden_layers": 1,
            "gamma": 1.0,
            "huber": False,
            "learning_rate": 3e-3,
            "batch_size": 512,
            "train_ratio": 1 / 64,
            "target_update": 20,
            "buffer_size": 32_768,
            "epsilon": 0.2,
            "final_epsilon": 0.02,
            "exploration_share": 0.02,
            "pool_share": 1.0,
            "pool_size": 256,
            "pool_blocks": 64,
            "snapshot_steps": 8_192,
        },
        "pettingzoo/": {"train_ratio": 1 / 16, "learning_starts": 2_000, "buffer_size": 50_000},
        "pettingzoo/classic/tictactoe_v3": _DQN_BOARDS,
        "pettingzoo/classic/connect_four_v3": _DQN_BOARDS,
        "tic_tac_toe": _DQN_BOARDS,
        "connect_four": _DQN_BOARDS | {"num_envs": 128, "train_ratio": 1 / 64, "buffer_size": 200_000},
    },
    "bc": GYM_PRESETS["bc"] | {"go": _GO_NETWORK | {"learning_rate": 2e-3, "mirrored": True}},
    "az": {
        "go": _GO_NETWORK | {"num_steps": 32, "simulations": 16, "considered": 8, "random_plies": 12},
        "tic_tac_toe": {
            "num_steps": 8,
            "hidden_size": 128,
            "random_plies": 6,
            "learning_rate": 5e-3,
            "window": 40_000,
            "passes": 6.0,
        },
        # Random openings of any length show it the positions that it would not let happen itself.
        "connect_four": {
            "num_envs": 512,
            "num_steps": 32,
            "hidden_layers": 3,
            "random_plies": 20,
            "learning_rate": 2e-3,
            "window": 300_000,
            "passes": 6.0,
        },
    },
    # The cliff and the rooms need more than the defaults. With ε left, the expected cost of a fall keeps SARSA from the
    # edge, and what it learnt of falls while ε was large it can unlearn only on visits that have become rare: so ε is
    # small from the start, optimism does the exploring, and small steps average the falls. Monte Carlo has the same
    # trouble on-policy; off-policy, in deterministic games, the latest return of greedy play is exact. In the rooms,
    # with starts anywhere and a far goal, games settle early; from the cliff's one start they must go on exploring.
    "sarsa": {
        "gridworld/cliff": {"num_envs": 32, "epsilon": 0.02, "exploration_share": 0.8, "learning_rate": 0.02},
        "gridworld/rooms": {"num_envs": 32, "epsilon": 0.3, "exploration_share": 1.0, "learning_rate": 0.1},
    },
    "monte_carlo": {
        "gridworld/cliff": _LATEST_GREEDY_RETURN | {"epsilon": 0.5, "final_epsilon": 0.3},
        "gridworld/rooms": _LATEST_GREEDY_RETURN
        | {"epsilon": 0.3, "final_epsilon": 0.3, "settle_share": 0.5, "initial_values": "0"},
    },
    "q_learning": {"gridworld/rooms": {"learning_rate": 0.5}},
}
