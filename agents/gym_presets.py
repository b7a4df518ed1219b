"""Good settings for the games of Gymnasium, Atari's included, and for the native CartPole. Imports no torch."""

from __future__ import annotations

from typing import Any

Presets = dict[str, dict[str, Any]]

# Angles are small beside places and speeds: normalising the observations is what makes it quick. Values of 100 need the
# squared error: Huber's loss lets the few transitions that end a game pull no harder than all the others.
_DQN_CARTPOLE: dict[str, Any] = {
    "num_envs": 32,
    "hidden_size": 64,
    "normalise_observations": True,
    "reward_scale": 20.0,
    "huber": False,
    "n_steps": 3,
    "learning_rate": 2e-3,
    "target_update": 20,
    "exploration_share": 0.16,
    "final_epsilon": 0.04,
}
# Every step costs one until the hill is climbed, which random play never does: what is known of the values must be used
# up quickly, so that the next best thing is tried. Targets of three steps keep it from the hill on some seeds.
_DQN_MOUNTAIN_CAR: dict[str, Any] = _DQN_CARTPOLE | {
    "num_envs": 8,
    "n_steps": 1,
    "batch_size": 64,
    "buffer_size": 50_000,
    "train_ratio": 0.4,
    "target_update": 50,
    "exploration_share": 0.2,
    "final_epsilon": 0.03,
}
# The RL Zoo's settings, for four games side by side.
_DQN_ZOO: dict[str, Any] = {
    "num_envs": 4,
    "hidden_size": 256,
    "learning_rate": 6.3e-4,
    "anneal_learning_rate": False,
    "buffer_size": 50_000,
    "learning_starts": 128,
    "train_ratio": 1.0,
    "target_update": 250,
    "exploration_share": 0.12,
    "final_epsilon": 0.1,
    "double": False,
}
# The same settings for every game, those of CleanRL's and the RL Zoo's Atari agents.
_ATARI: dict[str, Any] = {
    "num_envs": 8,
    "hidden_size": 512,
    "hidden_layers": 1,
    "activation": "relu",
    "training_options": "life_loss=true",
    "reward_clip": 1.0,
}

_ATARI_PPO: dict[str, Any] = _ATARI | {
    "num_steps": 128,
    "num_epochs": 4,
    "num_minibatches": 4,
    "shared_trunk": True,
    "clip_range": 0.1,
    "learning_rate": 2.5e-4,
    "entropy_coef": 0.01,
    "final_entropy_coef": 0.01,
}

# Many small steps, of whose advantages most are noise: they count by their size. Pictures that are not centred
# move all weights of a filter alike, until it sees nothing any more.
_ATARI_VPG: dict[str, Any] = _ATARI | {
    "num_envs": 16,
    "num_steps": 8,
    "gae_lambda": 0.95,
    "learning_rate": 2.5e-4,
    "value_learning_rate": 2.5e-4,
    "value_steps": 4,
    "entropy_coef": 0.02,
    "final_entropy_coef": 0.005,
    "max_grad_norm": 0.5,
    "normalise_advantages": False,
    "normalise_observations": True,
}
# As in the RL Zoo's Atari settings; eight games side by side in place of one.
_ATARI_DQN: dict[str, Any] = _ATARI | {
    "learning_rate": 1e-4,
    "anneal_learning_rate": False,
    "batch_size": 32,
    "buffer_size": 100_000,
    "learning_starts": 20_000,
    "train_ratio": 0.25,
    "target_update": 250,
    "exploration_share": 0.1,
    "final_epsilon": 0.01,
    "max_grad_norm": 10.0,
}

_ATARI_BC: dict[str, Any] = {
    "network": "dqn2013",
    "hidden_size": 256,
    "hidden_layers": 1,
    "learning_rate": 1e-3,
    "batch_size": 32,
    "value_coef": 0.0,
    "weight_decay": 0.0,
}

_PENDULUM: dict[str, Any] = {
    "gamma": 0.9,
    "gae_lambda": 0.95,
    "entropy_coef": 0.0,
    "reward_scale": 10.0,
    "normalise_observations": True,
}

# What Stable-Baselines3's PPO has where the RL Zoo says nothing: batches of 64, one learning rate to the end.
_PPO_ZOO: dict[str, Any] = {
    "num_envs": 16,
    "num_epochs": 4,
    "learning_rate": 3e-4,
    "anneal_learning_rate": False,
    "entropy_coef": 0.0,
}
_NORMALISED: dict[str, Any] = {"normalise_observations": True, "normalise_rewards": True}
# CleanRL's settings for MuJoCo, for eight games side by side in place of one.
_MUJOCO: dict[str, Any] = _NORMALISED | {
    "num_envs": 8,
    "num_steps": 256,
    "num_epochs": 10,
    "num_minibatches": 32,
    "learning_rate": 3e-4,
    "entropy_coef": 0.0,
}

GYM_PRESETS: dict[str, Presets] = {
    "ppo": {
        "ALE/": _ATARI_PPO,
        # As one-player Atari; no lives are counted, and half the network's rows are the other player's view.
        "pettingzoo/atari/": _ATARI_PPO | {"training_options": ""},
        # All games begin and end together, after 200 steps: a shorter rollout would show the swing up alone, or the
        # balance alone, and the next one undo what it taught.
        "gym/Pendulum": _PENDULUM | {"num_envs": 8, "num_steps": 256, "num_epochs": 10, "num_minibatches": 32},
        "gym/CartPole": {
            "num_envs": 32,
            "num_steps": 32,
            "num_epochs": 8,
            "gamma": 0.98,
            "gae_lambda": 0.9,
            "learning_rate": 2e-3,
            "entropy_coef": 0.0,
        },
        # The RL Zoo's settings; LunarLander's are those of the Hugging Face course, too.
        "gym/Acrobot": _PPO_ZOO | _NORMALISED | {"num_steps": 256, "num_minibatches": 64, "gae_lambda": 0.94},
        "gym/MountainCar-v": _PPO_ZOO | _NORMALISED | {"num_steps": 16, "gae_lambda": 0.98},
        "gym/LunarLander": _PPO_ZOO
        | {
            "num_steps": 1024,
            "num_minibatches": 256,
            "gamma": 0.999,
            "gae_lambda": 0.98,
            "entropy_coef": 0.01,
            "final_entropy_coef": 0.01,
        },
        "gym/Hopper": _MUJOCO,
        "gym/HalfCheetah": _MUJOCO,
        # Few and large steps, unclipped: solved in the fewest seconds, mostly within 16,000 steps.
        "cartpole": {
            "num_envs": 64,
            "num_steps": 16,
            "normalise_observations": True,
            "num_epochs": 10,
            "num_minibatches": 2,
            "gamma": 0.98,
            "gae_lambda": 0.9,
            "learning_rate": 6e-3,
            "max_grad_norm": 0.0,
            "entropy_coef": 0.0,
        },
    },
    "vpg": {
        "ALE/": _ATARI_VPG,
        "pettingzoo/atari/": _ATARI_VPG | {"training_options": ""},
        "gym/Pendulum": _PENDULUM
        | {
            "num_envs": 32,
            "num_steps": 8,
            "learning_rate": 1e-2,
            "value_learning_rate": 3e-3,
            "value_steps": 16,
            "value_minibatches": 4,
        },
    },
    # Returns of hundreds would drown what is copied: the value is left to whoever goes on from there.
    "bc": dict.fromkeys(("ALE/", "pettingzoo/atari/"), _ATARI_BC),
    "dqn": {
        "ALE/": _ATARI_DQN,
        "pettingzoo/atari/": _ATARI_DQN | {"training_options": "", "buffer_size": 50_000},
        "gym/CartPole": _DQN_CARTPOLE,
        "cartpole": _DQN_CARTPOLE,
        "gym/Acrobot": _DQN_ZOO,
        "gym/LunarLander": _DQN_ZOO,
        "gym/MountainCar-v": _DQN_MOUNTAIN_CAR,
    },
}
