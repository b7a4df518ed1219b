"""Networks: trunks by observation shape, the actor-critic, running statistics, and networks as frozen policies.

Orthogonal initialisation with gains √2 (hidden), 0.01 (policy head) and 1 (value head), as in Andrychowicz et al. 2021,
"What matters for on-policy deep actor-critic methods?", and Huang et al. 2022, "The 37 implementation details of PPO".
"""

from __future__ import annotations

import dataclasses
import math
from typing import cast

import torch
from torch import Tensor, nn

from agents.board_network import PointPolicy, PooledValue, acts_on_points, board_layers
from agents.configs import ActorCriticConfig, AZConfig, LearnerConfig, PPOConfig, config_from
from agents.distributions import mean_and_deviation
from agents.layout import is_picture, room_for
from agents.losses import masked_log_softmax
from agents.metrics import PolicyWeights
from agents.planner import Planner
from agents.policy import Decision, Normal
from agents.products import has_bfloat16
from envs.errors import ArenaError, UsageError
from envs.specs import GameSpec

# Output channels, kernel, stride and padding of each layer. nature: Mnih et al. 2015; dqn2013: Mnih et al. 2013, which
# is a third of the work.
CONVOLUTIONS = {
    "cnn": ((32, 3, 1, 1), (64, 3, 1, 1), (64, 3, 1, 1)),
    "nature": ((32, 8, 4, 0), (64, 4, 2, 0), (64, 3, 1, 0)),
    "dqn2013": ((16, 8, 4, 0), (32, 4, 2, 0)),
}


_ONE = torch.tensor(1.0)  # numbers of Python's become a tensor at each use, which takes as long as a small sum


class Tanh(nn.Module):
    """tanh x = 2 σ(2 x) − 1: torch's σ takes a fifth of the time of its tanh on a CPU. Exact to 2e-7 in float32."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype != torch.float32 or x.device.type != "cpu":
            return torch.tanh(x)
        share = torch.sigmoid(x + x)
        return (share + share).sub_(_ONE)


ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": Tanh, "relu": nn.ReLU}


def choose_network(observation_shape: tuple[int, ...]) -> str:
    """What `network="auto"` means: nature for pixels, cnn for square planes from 7×7 up, mlp for all else."""
    if is_picture(observation_shape):
        return "nature"
    if len(observation_shape) == 3:
        _, height, width = observation_shape
        if height == width >= 7:
            return "cnn"
    return "mlp"


def initialise(layer: nn.Linear | nn.Conv2d, gain: float, generator: torch.Generator) -> nn.Module:
    """Orthogonal weights of this gain, zero bias."""
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    nn.init.zeros_(cast(Tensor, layer.bias))
    return layer


class Trunk(nn.Sequential):
    """Layers [B, *obs] float32 → [B, features] float32, computed in bfloat16 where that is wanted and the device has
    it."""

    def __init__(self, *layers: nn.Module, bfloat16: bool) -> None:
        super().__init__(*layers)
        self.in_bfloat16 = bfloat16

    def forward(self, x: Tensor) -> Tensor:
        if not (self.in_bfloat16 and has_bfloat16(x.device.type)):
            return super().forward(x)
        with torch.autocast(x.device.type, torch.bfloat16):
            return super().forward(x).float()


def weights_stand_still(device: torch.device) -> torch.autocast:
    """A context in which no weights change: each that is wanted in bfloat16 is rounded once, not at every pass.

    Autocast keeps what it has rounded until the outermost of its contexts is left, whether that one is enabled or not.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=False)


def compile_trunks(network: nn.Module) -> None:
    """Let torch.compile turn the trunks into one kernel each, forward and backward, at their next call.

    On a GPU their kernels become CUDA graphs: one launch a pass. What a graph returns lasts until the next one runs
    without gradients, so it is used up by then.
    """
    for module in network.modules():
        if isinstance(module, Trunk):
            on_gpu = any(parameter.is_cuda for parameter in module.parameters())
            module.compile(mode="reduce-overhead" if on_gpu else None)


def check_network(spec: GameSpec, kind: str) -> None:
    """Raises UsageError where a network of this kind cannot see the game's observations."""
    shape = spec.observation_shape
    if kind not in ("auto", "mlp") and len(shape) != 3:
        raise UsageError(f"network={kind} needs planes [C, H, W], and {spec.game} shows {list(shape)}: use mlp")


def build_trunk(spec: GameSpec, config: LearnerConfig, generator: torch.Generator) -> tuple[Trunk, int]:
    """(trunk, features), of `config.network`'s kind."""
    check_network(spec, config.network)
    shape = spec.observation_shape
    kind = choose_network(shape) if config.network == "auto" else config.network
    gain = math.sqrt(2)
    layers: list[nn.Module] = []
    activation: type[nn.Module] = nn.ReLU
    if kind == "mlp":
        activation = ACTIVATIONS[config.activation]
        layers.append(nn.Flatten())
        width = math.prod(shape)
    elif kind == "board":
        layers = board_layers(shape[0], config.hidden_size, config.hidden_layers, generator)
        return Trunk(*layers, bfloat16=config.bfloat16), config.hidden_size * shape[1] * shape[2]
    elif kind == "planner":
        planner = Planner(shape)
        initialise(planner.see, gain, generator)
        layers.append(planner)
        width = planner.features
    else:
        channels = shape[0]
        for out, kernel, stride, padding in CONVOLUTIONS[kind]:
            layers += [initialise(nn.Conv2d(channels, out, kernel, stride, padding), gain, generator), nn.ReLU()]
            channels = out
        layers.append(nn.Flatten())
        with torch.no_grad():
            width = nn.Sequential(*layers)(torch.zeros(1, *shape)).shape[1]
    for _ in range(config.hidden_layers):
        layers += [initialise(nn.Linear(width, config.hidden_size), gain, generator), activation()]
        width = config.hidden_size
    return Trunk(*layers, bfloat16=config.bfloat16), width


class RunningStatistics(nn.Module):
    """Mean and variance of all that was seen so far, by Chan et al.'s parallel update; saved with the network."""

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        cpu = torch.device("cpu")
        self.register_buffer("mean", room_for((), shape, torch.float32, cpu))
        self.register_buffer("variance", room_for((), shape, torch.float32, cpu) + 1)
        self.register_buffer("count", torch.tensor(1e-4))

    @property
    def deviation(self) -> Tensor:
        """√(variance + a little)."""
        return torch.sqrt(self.variance + 1e-8)

    @torch.no_grad()
    def update(self, batch: Tensor) -> None:
        """Take in batch [B, *shape], of pictures a few at a time: what is in the way then stays in the cache."""
        for part in batch.split(max(1, 2**20 // self.mean.numel())):
            self._merge(part)

    def _merge(self, batch: Tensor) -> None:
        size = batch.shape[0]
        if size == 0:
            return
        mean, variance = self.mean, self.variance
        if is_picture(mean.shape):  # sums over rows are quick in the order in which they lie
            batch, mean, variance = (x.movedim(-3, -1) for x in (batch, mean, variance))
        here = batch.mean(0)
        squares = (batch - here).square_().sum(0)
        delta = here - mean
        total = self.count + size
        squares += variance * self.count + delta.square() * (self.count * size / total)
        mean += delta * size / total
        variance.copy_(squares / total)
        self.count.copy_(total)


class Normaliser(RunningStatistics):
    """RunningStatistics that also apply themselves: (x − mean) / deviation, clipped to ±10."""

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean).div_(self.deviation).clamp_(-10, 10)


def prepare(observation: Tensor, scale: float) -> Tensor:
    """Observations as the networks want them: float32; uint8 ones divided by `scale` on their device.

    Pictures are laid out channels last: so a CPU takes two thirds of the time over a gradient step of the convolutions.
    """
    if is_picture(observation.shape[1:]):
        observation = observation.contiguous(memory_format=torch.channels_last)
    x = observation.float()
    return x.div_(scale) if scale != 1.0 and observation.dtype == torch.uint8 else x


class ActorCritic(nn.Module):
    """The policy's output (see `agents.distributions`) and a value for every observation.

    Attributes:
        log_deviation: [D], of continuous actions, the same in every state; None where actions are discrete.
        bounds: least and greatest number of a continuous action.
        normaliser: of observations, or None.
        rewards: statistics of discounted returns where rewards are normalised, or None.
    """

    def __init__(self, spec: GameSpec, config: ActorCriticConfig, generator: torch.Generator) -> None:
        super().__init__()
        self.scale = spec.scale
        self.bounds = (spec.action_low, spec.action_high)
        self.fixed_reward_scale = config.reward_scale
        self.normaliser = Normaliser(spec.observation_shape) if config.normalise_observations else None
        self.policy_trunk, features = build_trunk(spec, config, generator)
        shared = isinstance(config, PPOConfig | AZConfig) and config.shared_trunk
        self.value_trunk = None if shared else build_trunk(spec, config, generator)[0]
        outputs = spec.num_actions or math.prod(spec.action_shape)
        on_points = config.network == "board" and acts_on_points(spec)
        self.policy_head: nn.Module
        if on_points:
            self.policy_head = PointPolicy(config.hidden_size, generator)
        else:
            self.policy_head = initialise(nn.Linear(features, outputs), 0.01, generator)
        self.log_deviation: nn.Parameter | None = None
        if spec.num_actions is None:
            self.log_deviation = nn.Parameter(torch.full((outputs,), math.log(config.initial_deviation)))
        self.value_head: nn.Module
        if on_points:
            self.value_head = PooledValue(config.hidden_size, generator)
        else:
            self.value_head = initialise(nn.Linear(features, 1), 1.0, generator)
        self.rewards = RunningStatistics(()) if config.normalise_rewards else None

    @property
    def reward_scale(self) -> Tensor | float:
        """What rewards are divided by in training: a value times this is in the game's units."""
        return self.fixed_reward_scale * (1.0 if self.rewards is None else self.rewards.deviation)

    def policy_parameters(self) -> list[nn.Parameter]:
        """What the policy's output depends on."""
        deviation = [] if self.log_deviation is None else [self.log_deviation]
        return [*self.policy_trunk.parameters(), *self.policy_head.parameters(), *deviation]

    def value_parameters(self) -> list[nn.Parameter]:
        """What the value alone depends on."""
        trunk = [] if self.value_trunk is None else list(self.value_trunk.parameters())
        return [*trunk, *self.value_head.parameters()]

    def take_in(self, observation: Tensor) -> None:
        """Let the normaliser, where there is one, know of observations [B, *obs]."""
        if self.normaliser is not None:
            self.normaliser.update(prepare(observation, self.scale))

    def prepare(self, observation: Tensor) -> Tensor:
        x = prepare(observation, self.scale)
        return x if self.normaliser is None else self.normaliser(x)

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor]:
        """observation [B, *obs] → policy output [B, A] or [B, 2 D], value [B]."""
        x = self.prepare(observation)
        features = self.policy_trunk(x)
        output = self._output(features)
        value_features = features if self.value_trunk is None else self.value_trunk(x)
        return output, self.value_head(value_features).squeeze(-1)

    def policy(self, observation: Tensor) -> Tensor:
        """observation [B, *obs] → policy output [B, A] or [B, 2 D]."""
        return self._output(self.policy_trunk(self.prepare(observation)))

    def _output(self, features: Tensor) -> Tensor:
        output = self.policy_head(features)
        return output if self.log_deviation is None else torch.cat([output, self.log_deviation.expand_as(output)], -1)

    def value(self, observation: Tensor) -> Tensor:
        """observation [B, *obs] → value [B]."""
        trunk = self.policy_trunk if self.value_trunk is None else self.value_trunk
        return self.value_head(trunk(self.prepare(observation))).squeeze(-1)


class NetworkPolicy:
    """An actor-critic as a frozen policy. It plays with the network it is given: give it a copy of one that learns."""

    def __init__(self, network: ActorCritic) -> None:
        self.network = network

    @torch.no_grad()
    def __call__(self, observation: Tensor, legal_action_mask: Tensor) -> Decision:
        output, value = self.network(observation)
        value = value * self.network.reward_scale
        if self.network.log_deviation is None:
            return Decision(masked_log_softmax(output, legal_action_mask).exp(), value)
        return Decision(output[:, :0], value, normal=Normal(*mean_and_deviation(output), *self.network.bounds))


def load_weights(module: nn.Module, tensors: dict[str, Tensor], what: str) -> None:
    """Fill `module`; raises ArenaError where names or shapes do not fit. `what` says what they should have fitted."""
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        first = str(error).strip().splitlines()[-1].strip()
        raise ArenaError(f"these weights do not fit {what}: {first}") from None


def load_actor_critic(spec: GameSpec, weights: PolicyWeights) -> NetworkPolicy:
    """The policy of stored actor-critic weights, on the CPU. Raises ArenaError where they do not fit the game."""
    config = cast(ActorCriticConfig, config_from(weights.algorithm, weights.config))
    network = ActorCritic(spec, config, torch.Generator())
    load_weights(network, weights.tensors, f"{weights.algorithm} on {spec.game}")
    return NetworkPolicy(network.requires_grad_(False))


def freeze(algorithm: str, config: ActorCriticConfig, network: nn.Module) -> PolicyWeights:
    """The network as storable weights: CPU copies that nothing trains further."""
    tensors = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
    return PolicyWeights(algorithm, dataclasses.asdict(config), tensors)
