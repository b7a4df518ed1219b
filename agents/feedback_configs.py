"""Settings of what learns from preferences over text: reward model, PPO, DPO. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from agents.configs import Config, setting


def _reference_temperature() -> float:
    told = "the policy begins as, and is held to, its parent as that writes at this temperature"
    return setting(1.0, told, min=0.05, max=10.0)


@dataclass(frozen=True)
class RewardConfig(Config):
    """A reward model: the SFT model's trunk and one scalar head per member of the ensemble."""

    members: int = setting(4, "heads on the trunk, each with its own weighting of the training prompts", min=1, max=64)
    readout: str = setting(
        "mean+sum",
        "where the heads read the trunk: at the completion's last token, in the mean of all, or in mean and sum",
        choices=("last", "mean", "mean+sum"),
    )
    match_passes: float = setting(
        0.0,
        "passes over the demonstrations before the labels: a prompt's own answer against another prompt's; 0: none",
        min=0.0,
        max=1000.0,
    )
    num_epochs: int = setting(5, "passes over the training labels", min=1, max=1000)
    prompts_per_batch: int = setting(2, "prompts per gradient step, each with all its pairs", min=1, max=4096)
    learning_rate: float = setting(5e-4, "AdamW's step size at the start; it falls to zero", min=0.0, max=1.0)
    weight_decay: float = setting(0.01, "AdamW's weight decay", min=0.0, max=10.0)
    max_grad_norm: float = setting(1.0, "gradients are scaled down to this norm; 0: never", min=0.0)
    certainty: float = setting(
        0.9, "probability that a plain choice stands for; `much better` stands for 1, a tie for ½", min=0.5, max=1.0
    )
    held_out_share: float = setting(0.2, "share of the prompts whose labels only measure", min=0.0, max=0.9)


@dataclass(frozen=True)
class RLHFConfig(Config):
    """PPO on text with a per-token KL penalty to a frozen reference."""

    rollout_size: int = setting(128, "completions per rollout", min=1, max=65536)
    max_new_tokens: int = setting(64, "tokens of a completion at most", min=1, max=4096)
    temperature: float = setting(1.0, "of sampling and scoring alike", min=0.05, max=10.0)
    num_epochs: int = setting(2, "passes over each rollout", min=1, max=100)
    num_minibatches: int = setting(4, "minibatches per pass", min=1, max=1024)
    learning_rate: float = setting(3e-4, "Adam's step size at the start", min=0.0, max=1.0)
    value_learning_rate: float = setting(1e-3, "Adam's step size for the value head at the start", min=0.0, max=1.0)
    anneal_learning_rate: bool = setting(True, "let the learning rates fall to zero over the run")
    adam_eps: float = setting(1e-5, "Adam's ε", min=0.0, max=1.0)
    max_grad_norm: float = setting(1.0, "gradients are scaled down to this norm; 0: never", min=0.0)
    gamma: float = setting(1.0, "discount per token", min=0.0, max=1.0)
    gae_lambda: float = setting(0.95, "λ of generalised advantages", min=0.0, max=1.0)
    clip_range: float = setting(0.2, "how far the probability ratio may move", min=0.0, max=10.0)
    value_clip_range: float = setting(0.0, "how far a value may move from the rollout's; 0: not clipped", min=0.0)
    value_coef: float = setting(0.1, "weight of the value loss", min=0.0)
    entropy_coef: float = setting(0.0, "weight of the entropy bonus", min=0.0)
    reference_temperature: float = _reference_temperature()
    kl_coef: float = setting(0.1, "weight of the KL penalty per token, at the start", min=0.0)
    adaptive_kl: bool = setting(False, "steer the weight so that a completion's KL stays near the target")
    kl_target: float = setting(6.0, "nats per completion that an adaptive weight aims at", min=1e-6)
    kl_horizon: float = setting(10_000.0, "completions over which an adaptive weight reacts", min=1.0)
    kl_budget: float = setting(0.0, "stop before a completion's mean KL exceeds so many nats; 0: never", min=0.0)
    end_penalty: float = setting(1.0, "subtracted from the reward of a completion that does not end", min=0.0)
    whiten_rewards: bool = setting(False, "divide the tokens' rewards by their deviation, without moving their mean")
    whiten_advantages: bool = setting(True, "give the advantages of a rollout mean 0 and deviation 1")
    frozen_layers: int = setting(
        0, "lowest layers that stay the reference's (with the embeddings), computed once for both", min=0, max=256
    )
    bfloat16: bool = setting(False, "sample and multiply in bfloat16, where the processor has it; weights stay float32")


@dataclass(frozen=True)
class DPOConfig(Config):
    """Direct preference optimisation."""

    beta: float = setting(0.1, "how strongly the policy is held to the reference", min=1e-4, max=100.0)
    reference_temperature: float = _reference_temperature()
    num_epochs: int = setting(8, "passes over the labels", min=1, max=1000)
    batch_size: int = setting(32, "pairs per gradient step", min=1, max=4096)
    learning_rate: float = setting(3e-4, "AdamW's step size at the start; it falls to zero", min=0.0, max=1.0)
    sft_coef: float = setting(
        0.5, "weight of the preferred completions' own loss per token, which keeps them likely; 0: plain DPO", min=0.0
    )
    frozen_layers: int = setting(0, "lowest layers that stay the reference's, with the embeddings", min=0, max=256)
    max_grad_norm: float = setting(1.0, "gradients are scaled down to this norm; 0: never", min=0.0)
    certainty: float = setting(
        0.9, "probability that a plain choice stands for; `much better` stands for 1, a tie for ½", min=0.5, max=1.0
    )


@dataclass(frozen=True)
class OnlineDPOConfig(Config):
    """Direct preference optimisation on the policy's own completions, compared by a reward model."""

    beta: float = setting(0.1, "how strongly the policy is held to the reference", min=1e-4, max=100.0)
    reference_temperature: float = _reference_temperature()
    pairs_per_round: int = setting(64, "prompts per round, with two completions each", min=1, max=65536)
    max_new_tokens: int = setting(64, "tokens of a completion at most", min=1, max=4096)
    num_epochs: int = setting(2, "passes over each round's pairs", min=1, max=100)
    batch_size: int = setting(32, "pairs per gradient step", min=1, max=4096)
    learning_rate: float = setting(3e-4, "AdamW's step size at the start; it falls to zero", min=0.0, max=1.0)
    max_grad_norm: float = setting(1.0, "gradients are scaled down to this norm; 0: never", min=0.0)
    kl_budget: float = setting(0.0, "stop before a completion's mean KL exceeds so many nats; 0: never", min=0.0)
    end_penalty: float = setting(1.0, "log-odds that a completion loses by not ending", min=0.0)
