"""Muon: momentum whose matrices are made orthogonal before they are taken as steps.

Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; steps as large as AdamW's, with weight
decay, as in Liu et al. 2025, "Muon is scalable for LLM training", arXiv 2502.16982. A gradient's few large directions
would drown the others; made orthogonal, all count alike. It is for the matrices inside the layers; embeddings, gains
and biases are AdamW's.

torch has one as well (`torch.optim.Muon`), which works in bfloat16 and on one matrix after another: slow on a CPU.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

ITERATIONS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of x, x³ and x⁵: they raise small singular values fast, and let all end between about 0.7 and 1.2."""


def orthogonal(matrices: Tensor) -> Tensor:
    """[N, A, B] → [N, A, B]: the same singular vectors, all singular values near 1 (Newton–Schulz iterations)."""
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonal(matrices.mT).mT
    linear, cubic, quintic = QUINTIC
    x = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = linear * x + (cubic * square + quintic * square @ square) @ x
    return x


class Muon(torch.optim.Optimizer):
    """For matrices alone; those of one shape are stepped together. Its step size means what AdamW's does."""

    def __init__(
        self, parameters: Iterable[torch.nn.Parameter], lr: float, weight_decay: float = 0.1, momentum: float = 0.95
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # no closures here
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                alike[parameter.shape].append(parameter)
                if not self.state[parameter]:
                    self.state[parameter]["momentum"] = torch.zeros_like(parameter, dtype=torch.float32)
            for shape, parameters in alike.items():
                gradients = torch.stack([p.grad.float() for p in parameters if p.grad is not None])
                means = [self.state[p]["momentum"] for p in parameters]
                torch._foreach_lerp_(means, list(gradients), 1 - group["momentum"])
                ahead = gradients.lerp(torch.stack(means), group["momentum"])  # Nesterov's
                # entries of an orthogonal A × B matrix have deviation 1 / √max(A, B); AdamW's steps have about 0.2
                steps = orthogonal(ahead) * (-0.2 * math.sqrt(max(shape)) * group["lr"])
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(parameters, list(steps.to(parameters[0].dtype)))
