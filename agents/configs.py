"""One frozen dataclass per algorithm: every setting with its help and its range, and good values per game. No torch.

`default_config("ppo", "connect_four")` is what `arena train` starts from; what a run used is stored with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar

from agents.presets import BUDGETS, EVERY_ALGORITHM, PRESETS
from envs.errors import UnknownNameError, UsageError
from envs.specs import parse_variant

_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def setting(
    default: Any,
    help: str,
    *,
    min: float | None = None,
    max: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A dataclass field with its help and range as metadata."""
    return field(default=default, metadata={"help": help, "min": min, "max": max, "choices": choices})


@dataclass(frozen=True)
class Config:
    """The base of every algorithm's config: making one with a value outside its range raises UsageError."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value, low, high = getattr(self, f.name), f.metadata["min"], f.metadata["max"]
            kind = type(f.default)
            if kind is float and type(value) is int:
                value = float(value)
                object.__setattr__(self, f.name, value)
            if type(value) is not kind:
                raise UsageError(f"{f.name}={value!r} must be {_KINDS[kind]}; {f.metadata['help']}")
            if (low is not None and value < low) or (high is not None and value > high) or value != value:
                span = f"at least {low}" if high is None else f"between {low} and {high}"
                raise UsageError(f"{f.name}={value} must be {span}; {f.metadata['help']}")
            if f.metadata["choices"] and value not in f.metadata["choices"]:
                raise UsageError(f"{f.name}={value!r} is none of {', '.join(f.metadata['choices'])}")


@dataclass(frozen=True)
class LearnerConfig(Config):
    """What every learner with a network has."""

    num_envs: int = setting(64, "games played side by side", min=1, max=65536)
    gamma: float = setting(0.99, "discount per own decision", min=0.0, max=1.0)
    learning_rate: float = setting(1e-3, "Adam's step size at the start", min=0.0, max=1.0)
    network: str = setting(
        "auto",
        "mlp, cnn (planes), board, nature or dqn2013 (pixels), planner (a walker's map), or auto by what is seen",
        choices=("auto", "mlp", "cnn", "board", "nature", "dqn2013", "planner"),
    )
    hidden_size: int = setting(64, "units of each hidden layer; board: filters", min=1, max=4096)
    hidden_layers: int = setting(
        2, "hidden layers after the observation or the convolutions; board: blocks", min=0, max=8
    )
    activation: str = setting("tanh", "between layers", choices=("tanh", "relu"))
    bfloat16: bool = setting(
        False, "compute all layers but the last in bfloat16, where the processor has it; weights stay float32"
    )
    compile: bool = setting(False, "let torch.compile build the layers in training; needs a C++ compiler on the CPU")
    reward_scale: float = setting(1.0, "rewards are divided by this for the network", min=1e-6, max=1e6)
    normalise_observations: bool = setting(False, "shift and scale observations by their running mean and deviation")
    snapshot_steps: int = setting(200_000, "self-play: env steps between snapshots that join the pool", min=1)
    pool_size: int = setting(16, "self-play: snapshots kept, the latest", min=1, max=256)
    pool_share: float = setting(0.25, "self-play: share of games against frozen policies of the pool", min=0.0, max=1.0)
    pool_blocks: int = setting(4, "self-play: how many different frozen policies at a time", min=1, max=64)
    pool_draw: str = setting(
        "uniform",
        "self-play: who of the pool: any alike, the latest, any of the younger half (window), mostly-latest (80 %)",
        choices=("uniform", "latest", "window", "mostly-latest"),
    )
    random_share: float = setting(0.0, "self-play: share of games against random moves", min=0.0, max=1.0)
    random_plies: int = setting(0, "games start with 0 to this many random moves, not learnt from", min=0, max=1000)
    training_options: str = setting("", "options of the game that hold in training only, such as life_loss=true")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pool_share + self.random_share > 1:
            raise UsageError(f"pool_share + random_share = {self.pool_share + self.random_share} must be at most 1")


@dataclass(frozen=True)
class ActorCriticConfig(LearnerConfig):
    """What the policy-gradient learners have in common."""

    num_steps: int = setting(32, "steps of every game per rollout", min=1, max=65536)
    env_groups: int = setting(
        1, "parts of the games that take turns: one goes on while the network decides for another", min=1, max=16
    )
    gae_lambda: float = setting(0.95, "λ of generalised advantages; 1: rewards to go minus the value", min=0.0, max=1.0)
    entropy_coef: float = setting(0.01, "weight of the entropy bonus at the start", min=0.0)
    final_entropy_coef: float = setting(0.0, "weight of the entropy bonus at the end", min=0.0)
    anneal_learning_rate: bool = setting(True, "let the learning rate fall to zero over the run")
    max_grad_norm: float = setting(0.5, "gradients are scaled down to this norm; 0: never", min=0.0)
    adam_eps: float = setting(1e-5, "Adam's ε", min=0.0, max=1.0)
    reward_clip: float = setting(0.0, "rewards are held within ± this, before any scaling; 0: they are not", min=0.0)
    normalise_advantages: bool = setting(True, "give the advantages of a minibatch mean 0 and deviation 1")
    initial_deviation: float = setting(1.0, "continuous actions: their standard deviation at first", min=1e-3, max=1e3)
    normalise_rewards: bool = setting(False, "divide rewards by the running deviation of the discounted return, too")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.env_groups > self.num_envs:
            raise UsageError(f"env_groups={self.env_groups} must be at most num_envs, {self.num_envs}")


@dataclass(frozen=True)
class PPOConfig(ActorCriticConfig):
    """Proximal policy optimisation. One epoch of one minibatch is A2C: nothing has moved yet that could be clipped."""

    num_epochs: int = setting(4, "passes over each rollout", min=1, max=100)
    num_minibatches: int = setting(4, "minibatches per pass", min=1, max=1024)
    clip_range: float = setting(0.2, "how far the probability ratio may move", min=0.0, max=10.0)
    value_coef: float = setting(0.5, "weight of the value loss", min=0.0)
    value_clip_range: float = setting(0.0, "how far a value may move from the rollout's; 0: not clipped", min=0.0)
    shared_trunk: bool = setting(False, "policy and value share all layers but the last")


@dataclass(frozen=True)
class VPGConfig(ActorCriticConfig):
    """Vanilla policy gradient: rewards to go minus a learnt value. `baseline=false` is bare REINFORCE."""

    gae_lambda: float = setting(1.0, "λ of generalised advantages; 1: rewards to go minus the value", min=0.0, max=1.0)
    max_grad_norm: float = setting(0.0, "gradients are scaled down to this norm; 0: never", min=0.0)
    baseline: bool = setting(True, "subtract a learnt value; false: rewards to go alone, of finished games only")
    value_learning_rate: float = setting(1e-3, "Adam's step size for the value", min=0.0, max=1.0)
    value_steps: int = setting(16, "gradient steps of the value per rollout, each on one of its parts", min=1, max=1000)
    value_minibatches: int = setting(4, "parts the rollout is split into for the value", min=1, max=1024)


@dataclass(frozen=True)
class BCConfig(ActorCriticConfig):
    """Behaviour cloning: recorded games are learnt from, and none are played."""

    num_envs: int = setting(1, "means nothing here: no games are played", min=1, max=65536)
    activation: str = setting("relu", "between layers", choices=("tanh", "relu"))
    hidden_size: int = setting(128, "units of each hidden layer", min=1, max=4096)
    batch_size: int = setting(256, "decisions per gradient step", min=1, max=65536)
    mirrored: bool = setting(False, "board games: learn from every position in any turn and mirror image of its board")
    weight_decay: float = setting(1e-4, "how strongly weights are pulled to zero", min=0.0, max=1.0)
    value_coef: float = setting(0.25, "weight of the value loss", min=0.0)


SEARCHABLE = ("tic_tac_toe", "connect_four", "othello", "go")
"""Games (without options) whose moves can be searched, so that AlphaZero learns them."""


@dataclass(frozen=True)
class AZConfig(ActorCriticConfig):
    """AlphaZero with Gumbel's search: every move of self-play is searched, and the network learns what was found."""

    num_envs: int = setting(256, "games played and searched side by side", min=1, max=65536)
    num_steps: int = setting(16, "moves of every game between updates", min=1, max=65536)
    gamma: float = setting(
        1.0, "discount per move of either side; below 1 an early win is worth more", min=0.0, max=1.0
    )
    gae_lambda: float = setting(
        0.9, "what values learn: 1: how the game ended; 0: what the search of the next position found", min=0.0, max=1.0
    )
    activation: str = setting("relu", "between layers", choices=("tanh", "relu"))
    hidden_size: int = setting(256, "units of each hidden layer", min=1, max=4096)
    shared_trunk: bool = setting(True, "policy and value share all layers but the last")
    entropy_coef: float = setting(0.0, "weight of the entropy bonus at the start", min=0.0)
    max_grad_norm: float = setting(0.0, "gradients are scaled down to this norm; 0: never", min=0.0)
    pool_share: float = setting(0.0, "self-play: share of games against frozen policies of the pool", min=0.0, max=1.0)
    simulations: int = setting(32, "positions that the search of a move looks at", min=1, max=1000)
    search_threads: int = setting(1, "parts of the games that are searched at the same time", min=1, max=256)
    considered: int = setting(16, "actions that the search compares at its root, at most", min=1, max=362)
    value_scale: float = setting(0.5, "how much a difference in value changes the search's policy", min=0.0, max=100.0)
    noise_plies: int = setting(1000, "moves of a game that are drawn with noise; later ones are the best found", min=0)
    window: int = setting(200_000, "decisions kept to learn from, the latest", min=1)
    batch_size: int = setting(1024, "decisions per gradient step", min=1, max=65536)
    passes: float = setting(4.0, "how often a decision is learnt from, about", min=0.0, max=1000.0)
    mirrored: bool = setting(True, "learn from every position in any turn and mirror image of its board")
    value_coef: float = setting(1.0, "weight of the value loss", min=0.0)
    weight_decay: float = setting(1e-5, "how strongly weights are pulled to zero", min=0.0, max=1.0)


@dataclass(frozen=True)
class DQNConfig(LearnerConfig):
    """Deep Q-learning with replay and a target network."""

    num_envs: int = setting(16, "games played side by side", min=1, max=65536)
    activation: str = setting("relu", "between layers", choices=("tanh", "relu"))
    hidden_size: int = setting(128, "units of each hidden layer", min=1, max=4096)
    batch_size: int = setting(128, "transitions per gradient step", min=1, max=65536)
    buffer_size: int = setting(100_000, "transitions kept in the replay memory, the latest", min=1)
    learning_starts: int = setting(1_000, "env steps before the first gradient step", min=0)
    train_ratio: float = setting(0.25, "gradient steps per env step", min=0.0, max=64.0)
    n_steps: int = setting(1, "own decisions whose rewards a target counts before it goes on with a value", min=1)
    priority_exponent: float = setting(
        0.0, "prefer what was predicted badly by this much; 0: uniform", min=0.0, max=1.0
    )
    priority_beta: float = setting(0.4, "how far weights make up for that at the start; 1 at the end", min=0.0, max=1.0)
    target_update: int = setting(64, "gradient steps between updates of the target network", min=1)
    target_rate: float = setting(1.0, "how far it moves to the network at each; 1: it becomes a copy", min=0.0, max=1.0)
    double: bool = setting(True, "choose the next action with the network, value it with the target network")
    huber: bool = setting(True, "Huber loss instead of the squared error")
    reward_clip: float = setting(0.0, "rewards are held within ± this, before any scaling; 0: they are not", min=0.0)
    epsilon: float = setting(1.0, "share of random moves at the start", min=0.0, max=1.0)
    final_epsilon: float = setting(0.05, "share of random moves after the exploration", min=0.0, max=1.0)
    exploration_share: float = setting(0.3, "share of the run in which epsilon falls", min=0.0, max=1.0)
    play_epsilon: float = setting(0.0, "share of random moves of the trained policy", min=0.0, max=1.0)
    anneal_learning_rate: bool = setting(True, "let the learning rate fall to zero over the run")
    max_grad_norm: float = setting(10.0, "gradients are scaled down to this norm; 0: never", min=0.0)
    adam_eps: float = setting(1e-5, "Adam's ε", min=0.0, max=1.0)
    report_steps: int = setting(2_000, "env steps between reports", min=1)


@dataclass(frozen=True)
class TabularConfig(Config):
    """What the learners with a table have in common."""

    algorithm: ClassVar[str]

    num_envs: int = setting(16, "games played side by side", min=1, max=65536)
    gamma: float = setting(0.99, "discount per step", min=0.0, max=1.0)
    learning_rate: float = setting(0.3, "how far a value moves towards its target", min=0.0, max=1.0)
    initial_values: str = setting("1", "first value of every action, or one per action: 0.5,0.4,0.3; high: explores")
    epsilon: float = setting(1.0, "share of random moves at the start", min=0.0, max=1.0)
    final_epsilon: float = setting(0.1, "share of random moves after the exploration", min=0.0, max=1.0)
    exploration_share: float = setting(0.5, "share of the run in which epsilon falls", min=0.0, max=1.0)
    report_steps: int = setting(1_000, "env steps between reports", min=1)


@dataclass(frozen=True)
class TD0Config(TabularConfig):
    """TD(0): the values of the uniform random policy."""

    algorithm = "td0"
    initial_values: str = setting("0", "first value of every state")
    learning_rate: float = setting(0.05, "how far a value moves towards its target", min=0.0, max=1.0)


@dataclass(frozen=True)
class MonteCarloConfig(TabularConfig):
    """First-visit Monte-Carlo control."""

    algorithm = "monte_carlo"
    off_policy: bool = setting(False, "learn only from a game's last random move on, so about greedy play")
    settle_share: float = setting(0.0, "share of random moves after which a game has no further ones", min=0.0, max=1.0)
    learning_rate: float = setting(0.1, "how far a value moves towards its target", min=0.0, max=1.0)
    final_epsilon: float = setting(0.0, "share of random moves after the exploration", min=0.0, max=1.0)
    exploration_share: float = setting(0.9, "share of the run in which epsilon falls", min=0.0, max=1.0)


@dataclass(frozen=True)
class SarsaConfig(TabularConfig):
    """SARSA, on-policy."""

    algorithm = "sarsa"
    final_epsilon: float = setting(0.0, "share of random moves after the exploration", min=0.0, max=1.0)
    exploration_share: float = setting(0.9, "share of the run in which epsilon falls", min=0.0, max=1.0)


@dataclass(frozen=True)
class QLearningConfig(TabularConfig):
    """Q-learning, off-policy."""

    algorithm = "q_learning"


@dataclass(frozen=True)
class PlanningConfig(Config):
    """Planning on known dynamics."""

    gamma: float = setting(0.99, "discount per step", min=0.0, max=1.0)


@dataclass(frozen=True)
class PolicyIterationConfig(PlanningConfig):
    """Policy iteration."""


@dataclass(frozen=True)
class ValueIterationConfig(PlanningConfig):
    """Value iteration."""


CONFIGS: dict[str, type[Config]] = {
    "ppo": PPOConfig,
    "vpg": VPGConfig,
    "dqn": DQNConfig,
    "az": AZConfig,
    "bc": BCConfig,
    "q_learning": QLearningConfig,
    "sarsa": SarsaConfig,
    "monte_carlo": MonteCarloConfig,
    "td0": TD0Config,
    "value_iteration": ValueIterationConfig,
    "policy_iteration": PolicyIterationConfig,
}


def default_config(algorithm: str, game: str) -> Config:
    """The config that learns `game` (a variant, `id?option=value`) well without further settings.

    Raises UnknownNameError for an algorithm that does not exist.
    """
    if algorithm not in CONFIGS:
        raise UnknownNameError("algorithm", algorithm, CONFIGS)
    values: dict[str, Any] = {}
    for presets in (PRESETS.get(algorithm, {}), EVERY_ALGORITHM):
        for prefix in sorted(presets):
            if game.startswith(prefix):
                values |= presets[prefix]
    return replace(CONFIGS[algorithm](), **values)


def default_steps(algorithm: str, game: str) -> int:
    """Env steps after which the algorithm's preset for `game` has learnt what it learns."""
    budgets = BUDGETS.get(algorithm, {})
    return budgets.get(max((key for key in budgets if game.startswith(key)), key=len, default=""), 200_000)


def training_game(game: str, config: Config) -> str:
    """The variant that `config` learns on, where agents of `game` are made: with its `training_options`."""
    variant = parse_variant(game)
    options = config.training_options if isinstance(config, LearnerConfig) else ""
    extra = parse_variant(f"{variant.id}?{options}").options if options else {}
    return str(replace(variant, options={**variant.options, **extra}))


def config_from(algorithm: str, values: dict[str, Any]) -> Config:
    """A stored config (plain JSON values) as the algorithm's dataclass; what it does not name takes its default.

    Raises UnknownNameError for an unknown algorithm or setting, UsageError for a value outside its range.
    """
    if algorithm not in CONFIGS:
        raise UnknownNameError("algorithm", algorithm, CONFIGS)
    known = {f.name for f in fields(CONFIGS[algorithm])}
    for name in values:
        if name not in known:
            raise UnknownNameError(f"setting of {algorithm}", name, known)
    return CONFIGS[algorithm](**values)
