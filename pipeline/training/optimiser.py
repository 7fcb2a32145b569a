"""One optimiser with two rules: Muon for the matrices inside the blocks, AdamW for everything else.

Lightning and gradient clipping want one `torch.optim.Optimizer`; each parameter group names its rule in `kind`.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from pipeline.training.sharding import like, whole

MUON_MOMENTUM = 0.95
FUSED = ("cpu", "cuda")  # where torch reads and writes each number once a step, in 0.4 of the time on a CPU
# Coefficients of the quintic Newton-Schulz iteration (Jordan et al. 2024, "Muon"): singular values go to about 1.
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5


def orthogonalise(update_NRC: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly: singular values in about 0.7 to 1.2.

    `update_NRC` holds N matrices of R rows and C columns. Runs in bf16 on a GPU and where the training step does
    (under autocast), in fp32 elsewhere.
    """
    wide = update_NRC.size(-2) <= update_NRC.size(-1)
    x_NRC = update_NRC if wide else update_NRC.mT
    x_NRC = x_NRC / (x_NRC.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    # Autocast would take fp32 products in bf16, and in bf16 the powers of G diverge.
    in_bf16 = x_NRC.is_cuda or torch.is_autocast_enabled(x_NRC.device.type)
    x_NRC = _newton_schulz(x_NRC) if in_bf16 else _newton_schulz_of_gram(x_NRC)
    return x_NRC if wide else x_NRC.mT


def _newton_schulz(x_NRC: Tensor) -> Tensor:
    """X <- P X with P = a + b G + c G^2 and G = X X^T, in bf16; R <= C."""
    a, b, c = NEWTON_SCHULZ
    x_NRC = x_NRC.bfloat16()
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram_NRR = x_NRC @ x_NRC.mT
        polynomial_NRR = torch.baddbmm(gram_NRR, gram_NRR, gram_NRR, beta=b, alpha=c)
        x_NRC = torch.baddbmm(x_NRC, polynomial_NRR, x_NRC, beta=a)
    return x_NRC


def _newton_schulz_of_gram(x_NRC: Tensor) -> Tensor:
    """The same in fp32, whose precision allows to iterate on G alone: with P = a + b G + c G^2, G <- P G P.

    X is multiplied with the product of all P at the end, so that no step but that one and the first is as wide as C.
    """
    a, b, c = NEWTON_SCHULZ
    x_NRC = x_NRC.float()
    gram_NRR = x_NRC @ x_NRC.mT
    product_NRR = torch.empty(0)  # the first P begins it
    for step in range(NEWTON_SCHULZ_STEPS):
        polynomial_NRR = torch.baddbmm(gram_NRR, gram_NRR, gram_NRR, beta=b, alpha=c)
        polynomial_NRR.diagonal(dim1=-2, dim2=-1).add_(a)
        product_NRR = polynomial_NRR @ product_NRR if step else polynomial_NRR
        if step < NEWTON_SCHULZ_STEPS - 1:
            gram_NRR = polynomial_NRR @ gram_NRR @ polynomial_NRR
    return product_NRR @ x_NRC


class MuonAdamW(torch.optim.Optimizer):
    """AdamW (Loshchilov & Hutter 2019) and Muon (Jordan et al. 2024) over the groups of `parameter_groups`."""

    def __init__(self, groups: list[dict[str, Any]], beta1: float, beta2: float, eps: float = 1e-8) -> None:
        super().__init__(groups, {"beta1": beta1, "beta2": beta2, "eps": eps})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state of `state_dict`, each tensor to its parameter's device."""
        super().load_state_dict(state_dict)
        # torch and Lightning leave `step` where it was saved, and the fused rule wants it beside the others.
        for parameter, state in self.state.items():
            if "step" in state:
                state["step"] = state["step"].to(parameter.device)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Apply one update from the gradients at hand; Lightning passes a closure, which is called first."""
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        for group in self.param_groups:
            parameters = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters:
                (self._muon if group["kind"] == "muon" else self._adamw)(group, parameters)
        return result

    def _adamw(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {
                    "step": torch.zeros((), device=parameter.device),  # torch's rule wants a tensor
                    "mean": torch.zeros_like(parameter),
                    "square": torch.zeros_like(parameter),
                }
        states = [self.state[parameter] for parameter in parameters]
        fused = parameters[0].device.type in FUSED
        adamw(
            parameters,
            [parameter.grad for parameter in parameters],  # type: ignore[misc]
            [state["mean"] for state in states],
            [state["square"] for state in states],
            [],
            [state["step"] for state in states],
            fused=fused,
            foreach=not fused,
            amsgrad=False,
            beta1=group["beta1"],
            beta2=group["beta2"],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )

    def _muon(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter] = {"momentum": torch.zeros_like(parameter)}
            by_shape[parameter.shape].append(parameter)
        for shape, alike in by_shape.items():
            momenta = [self.state[parameter]["momentum"] for parameter in alike]
            for momentum, parameter in zip(momenta, alike, strict=True):
                momentum.lerp_(parameter.grad, 1 - MUON_MOMENTUM)
            # Nesterov: look one step ahead.
            # A sharded matrix is orthogonalised whole, by every process alike.
            ahead_NRC = torch.stack(
                [whole(p.grad.lerp(m, MUON_MOMENTUM)) for m, p in zip(momenta, alike, strict=True)]  # type: ignore[union-attr]
            )
            update_NRC = orthogonalise(ahead_NRC).to(alike[0].dtype)
            # One rate for every shape: tall matrices get longer updates (Jordan et al.'s scale).
            scale = max(1.0, shape[0] / shape[1]) ** 0.5
            for parameter, update_RC in zip(alike, update_NRC, strict=True):
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(like(update_RC, parameter), alpha=-group["lr"] * scale)
